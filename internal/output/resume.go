package output

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/luksimg/luksimg/internal/fsys"
)

// partial is what the name of a file ends with that is fetched bit by bit.
const partial = ".download"

// ErrNotOurs means that a file that an earlier run should have left is of somebody else, or somebody
// else could have changed it.
var ErrNotOurs = errors.New("it was not left by a run of yours, or others can change it")

// Resume is as [Create], for a job that goes on where an earlier one stopped: what was
// written is in a file beside, of a name that does not change, until Commit, or Abort.
// [File.Keep] leaves it for the next run. A file beside that is not surely of an earlier run
// of this user is an error that matches [ErrNotOurs]; [Discard] removes it. Nobody else may
// write to what it makes, whatever perm is.
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
	if err == nil && !system.IsNamed(f, name+partial) { // it got its name, or was removed, just now
		err = ErrLocked
	}
	if err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: name + partial, Err: err}
	}
	return &File{File: f, name: name, force: force}, nil
}

// Discard removes what Resume of the same name left, unless a run has it that still goes on.
func Discard(name string) error {
	f, err := system.OpenFile(name+partial, os.O_RDWR, 0)
	if err != nil { // of somebody else, or a link
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

// openOurs opens what an earlier run of this user left, or a new file for it alone. Where
// that is something else the error matches [ErrNotOurs].
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

// Keep ends the use of the file and leaves what was written for the next Resume.
func (f *File) Keep() error {
	if f.done {
		return nil
	}
	f.done = true
	f.closeDirect()
	return f.File.Close()
}
