package output

import (
	"errors"
	"io/fs"
	"os"

	"github.com/luksimg/luksimg/internal/fsys"
)

// ErrLocked means that another process is changing the file.
var ErrLocked = errors.New("another process is changing this file")

// Lock keeps other runs from changing an open file. It ends when the file is closed.
// Where the filesystem has no locks it does nothing.
func Lock(f *os.File) error { return tryLock(fsys.OS, f) }

func tryLock(where fsys.FS, f fsys.File) error {
	ok, err := where.TryLock(f)
	if err == nil && !ok {
		err = ErrLocked
	}
	return err
}

// LockName makes a file of this name that keeps other runs out until unlock is called, which
// removes it. While another one has it the error matches [ErrLocked]. A file that is there
// must be this user's own, see [ErrNotOurs].
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
		// Who had the lock before has removed the file meanwhile.
		f.Close()
		if _, err := system.Lstat(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}
