package stdio

import (
	"os"

	"golang.org/x/sys/unix"
)

// pipeSize is what fits in a pipe without a privilege, on a system as it comes.
const pipeSize = 1 << 20

// Widen lets more fit in a pipe than the usual 64 KiB, so that the programs at its ends wait
// less for each other. What is no pipe stays as it is.
func Widen(f *os.File) {
	unix.FcntlInt(f.Fd(), unix.F_SETPIPE_SZ, pipeSize) // a pipe that stays small is slower, and no more
}
