package output

import "golang.org/x/sys/unix"

// DropCache writes what is in memory to the disk and asks the system to forget it, so that
// what is read next comes from the disk. Memory that something else holds stays.
func (f *File) DropCache() error {
	if err := f.Sync(); err != nil {
		return err
	}
	unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) // advice: a failure means nothing
	return nil
}
