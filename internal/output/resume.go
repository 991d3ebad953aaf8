package output

import (
	"errors"
	"io/fs"
	"os"
)

// partial is what the name of a file ends with that is fetched bit by bit.
const partial = ".download"

// Resume is as [Create], for a job that goes on where an earlier one stopped: what was
// written is in a file beside, of a name that does not change, until Commit, or Abort.
// [File.Keep] leaves it for the next run.
func Resume(name string, perm fs.FileMode, force bool) (*File, error) {
	if err := free(name, force); err != nil {
		return nil, err
	}
	if fi, err := os.Lstat(name + partial); err == nil && !fi.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name + partial, Err: errors.New("not a regular file")}
	}
	f, err := os.OpenFile(name+partial, os.O_RDWR|os.O_CREATE, perm)
	if err != nil {
		return nil, err
	}
	err = Lock(f)
	if err == nil && !same(f, name+partial) { // it got its name, or was removed, just now
		err = ErrLocked
	}
	if err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: name + partial, Err: err}
	}
	return &File{File: f, name: name, force: force}, nil
}

// same tells whether an open file is still the one that has the name.
func same(f *os.File, name string) bool {
	a, errA := f.Stat()
	b, errB := os.Lstat(name)
	return errA == nil && errB == nil && os.SameFile(a, b)
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
