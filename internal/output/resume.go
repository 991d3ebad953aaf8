package output

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/luksimg/luksimg/internal/fsys"
)

// partial is the suffix of a file that is downloaded in several runs.
const partial = ".download"

// ErrNotOurs means that a file, expected from an earlier run, belongs to another user or could have
// been changed by one.
var ErrNotOurs = errors.New("not from an earlier run of yours, or others can change it")

// Resume is like [Create], but continues where an earlier run stopped. Until Commit or Abort, the data
// is in a file with a fixed name in the same folder. [File.Keep] leaves it for the next run. If that
// file could be from another user, the error matches [ErrNotOurs]; [Discard] removes it. Only this user
// can write to the file, whatever perm is.
func Resume(name string, perm fs.FileMode, force bool) (*File, error) {
	if err := free(name, force); err != nil {
		return nil, err
	}
	f, err := system.OpenFile(name+partial, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm&^0o022)
	if errors.Is(err, fs.ErrExist) {
		f, err = openOurs(name+partial, os.O_RDWR)
	}
	if err != nil {
		return nil, err
	}
	err = tryLock(system, f)
	if err == nil && !system.IsNamed(f, name+partial) { // it was renamed or removed in the meantime
		err = ErrLocked
	}
	if err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: name + partial, Err: err}
	}
	return &File{File: f, name: name, force: force}, nil
}

// Discard removes what Resume of the same name left, unless an active run has it locked.
func Discard(name string) error {
	f, err := system.OpenFile(name+partial, os.O_RDWR, 0)
	if err != nil { // another user's, or a link
		if err := system.Remove(name + partial); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err := tryLock(system, f); err != nil {
		f.Close()
		return &fs.PathError{Op: "remove", Path: name + partial, Err: err}
	}
	discard(f)
	return nil
}

// openOurs opens the file that an earlier run of this user left, or creates one that only this user can
// access. If the name is anything else, the error matches [ErrNotOurs].
func openOurs(name string, flag int) (fsys.File, error) {
	notOurs := func(why error) (fsys.File, error) {
		return nil, fmt.Errorf("%s: %w: %w", name, ErrNotOurs, why)
	}
	irregular := errors.New("it is not a regular file")
	f, err := system.OpenFile(name, flag, 0o600)
	if err != nil {
		if fi, e := system.Lstat(name); e == nil && !fi.Mode().IsRegular() {
			return notOurs(irregular)
		}
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		f.Close()
		return notOurs(irregular)
	}
	if err := ours(fi); err != nil {
		f.Close()
		return notOurs(err)
	}
	return f, nil
}

// Keep closes the file and leaves its data for the next Resume.
func (f *File) Keep() error {
	if f.done {
		return nil
	}
	f.done = true
	f.closeDirect()
	return f.File.Close()
}
