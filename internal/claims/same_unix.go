//go:build unix

package claims

import (
	"io/fs"
	"syscall"
)

// sameDevice reports whether a and b are the same block device.
func sameDevice(a, b fs.FileInfo) bool {
	block := func(fi fs.FileInfo) bool { return fi.Mode()&(fs.ModeDevice|fs.ModeCharDevice) == fs.ModeDevice }
	x, okA := a.Sys().(*syscall.Stat_t)
	y, okB := b.Sys().(*syscall.Stat_t)
	return okA && okB && block(a) && block(b) && x.Rdev == y.Rdev
}
