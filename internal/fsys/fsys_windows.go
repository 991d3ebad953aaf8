package fsys

import (
	"io/fs"
	"os"
)

// NonBlock is the [os.OpenFile] flag that keeps opening a FIFO from waiting for its other end.
const NonBlock = 0

func (system) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	if flag&os.O_EXCL == 0 {
		if fi, err := os.Lstat(name); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
		}
	}
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err // not a File that holds a nil *os.File
	}
	return f, nil
}

// TryLock always succeeds: Windows does not remove a file that is open.
func (system) TryLock(File) (bool, error) { return true, nil }

// SyncDir does nothing: Windows has no equivalent.
func (system) SyncDir(string) error { return nil }
