//go:build unix

package stdio

import (
	"os"

	"golang.org/x/sys/unix"
)

// stdoutClosed tells whether the process began without a standard output. The runtime of Go
// has opened /dev/null in its place by now, for reading and writing. A shell opens it for
// writing only, so that >/dev/null is not taken for that. Some programs, such as Python's
// subprocess.DEVNULL, do as the runtime does: what they drop can not be told from what is
// lost, and so a result in text, which goes with an exit code, is not asked for.
func stdoutClosed() bool {
	out, err := os.Stdout.Stat()
	if err != nil {
		return true
	}
	null, err := os.Stat(os.DevNull)
	if err != nil || !os.SameFile(out, null) {
		return false
	}
	flags, err := unix.FcntlInt(os.Stdout.Fd(), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_ACCMODE == unix.O_RDWR
}
