package output

import (
	"errors"
	"io/fs"
	"os"

	"github.com/luksimg/luksimg/internal/fsys"
)

// ErrLocked means that another process is changing the file.
var ErrLocked = errors.New("another process is changing this file")

// Lock prevents other runs from changing an open file. Closing the file releases the lock. If another
// process has the lock, the error is [ErrLocked]. On filesystems without locks, Lock does nothing.
func Lock(f *os.File) error { return tryLock(fsys.OS, f) }

func tryLock(where fsys.FS, f fsys.File) error {
	ok, err := where.TryLock(f)
	if err == nil && !ok {
		err = ErrLocked
	}
	return err
}

// LockName creates a file with this name that excludes other runs. unlock removes it. If another
// process has the lock, the error matches [ErrLocked]. An existing file must belong to this user; see
// [ErrNotOurs].
func LockName(name string) (unlock func(), err error) {
	for {
		f, err := openOurs(name, os.O_RDWR|os.O_CREATE)
		if err != nil {
			return nil, err
		}
		if err := tryLock(system, f); err != nil {
			f.Close()
			return nil, err
		}
		if system.IsNamed(f, name) {
			return func() { discard(f) }, nil
		}
		// The previous holder of the lock has removed the file in the meantime.
		f.Close()
		if _, err := system.Lstat(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}
