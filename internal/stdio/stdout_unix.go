//go:build unix

package stdio

import (
	"os"

	"golang.org/x/sys/unix"
)

// stdoutClosed reports whether the process began without a standard output. In this case the Go runtime
// has opened /dev/null in its place, for reading and writing. A shell opens >/dev/null for writing
// only, so the two differ. Some programs, such as Python's subprocess.DEVNULL, open it like the
// runtime. A text result comes with an exit code, so stdoutClosed is not used for it.
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
