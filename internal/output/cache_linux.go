package output

import (
	"os"

	"golang.org/x/sys/unix"
)

// DropCache syncs the file and asks the system to drop its cached pages, so that the next read comes
// from the disk. Pages in use elsewhere stay.
func (f *File) DropCache() error {
	if err := f.Sync(); err != nil {
		return err
	}
	if file, ok := f.File.(*os.File); ok {
		unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED) // advice only: a failure does not matter
	}
	return nil
}
