package stdio

import (
	"os"

	"golang.org/x/sys/unix"
)

// pipeSize is the default limit of a pipe's size for unprivileged processes, in bytes.
const pipeSize = 1 << 20

// Widen enlarges a pipe from the usual 64 KiB, so that the programs at its ends wait less for each
// other. It does nothing if f is not a pipe.
func Widen(f *os.File) {
	unix.FcntlInt(f.Fd(), unix.F_SETPIPE_SZ, pipeSize) // failure only costs speed
}
