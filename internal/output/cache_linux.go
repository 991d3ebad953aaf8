package output

import (
	"os"

	"golang.org/x/sys/unix"
)

// DropCache writes what is in memory to the disk and asks the system to forget it, so that
// what is read next comes from the disk. Memory that something else holds stays.
func (f *File) DropCache() error {
	if err := f.Sync(); err != nil {
		return err
	}
	if file, ok := f.File.(*os.File); ok {
		unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED) // advice: a failure means nothing
	}
	return nil
}
