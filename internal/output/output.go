// Package output writes files that appear under their name only when they are whole
// and on the disk. Until then the bytes are in a temporary file beside it, which a
// later run removes if this one was killed.
package output

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
)

// A File is being written. Exactly one of Commit and Abort ends it; Abort after
// either does nothing.
type File struct {
	*os.File
	name    string // the final one
	force   bool
	done    bool
	written atomic.Int64 // bytes, on systems where that matters
	direct  *direct      // nil unless it is to be used
}

// ErrLocked: another process is changing the file.
var ErrLocked = errors.New("another process is changing this file")

const suffix = ".luksimg-partial"

// Create starts a file that will have this name, and the given permissions less the
// umask. Without force the name must not be taken, now and when the file is whole.
// Only a regular file is ever replaced.
func Create(name string, perm fs.FileMode, force bool) (*File, error) {
	if err := free(name, force); err != nil {
		return nil, err
	}
	dir, base := filepath.Split(name)
	if dir == "" {
		dir = "."
	}
	if base == "" {
		return nil, fmt.Errorf("%s: not the name of a file", name)
	}
	prefix := "." + base[:min(len(base), 200)] + "."
	removeLeftovers(dir, prefix)
	for {
		f, err := createTemp(dir, prefix, perm)
		if err != nil {
			return nil, err
		}
		ok, err := lock(f)
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			return nil, err
		}
		if ok {
			return &File{File: f, name: name, force: force}, nil
		}
		f.Close() // another run took it for a leftover just now
	}
}

// free refuses a name that is taken, but by a regular file that may be replaced.
func free(name string, force bool) error {
	switch fi, err := os.Lstat(name); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !fi.Mode().IsRegular() && fi.Mode()&fs.ModeSymlink == 0:
		return fmt.Errorf("%s: not a regular file, and will not be replaced", name)
	case !force:
		return &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	return nil
}

// removeLeftovers removes the temporary files of runs that were killed: those that
// nobody holds a lock on.
func removeLeftovers(dir, prefix string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		n := e.Name()
		random, ours := strings.CutPrefix(n, prefix)
		random, whole := strings.CutSuffix(random, suffix)
		if !e.Type().IsRegular() || !ours || !whole || len(random) != randomLength || strings.Trim(random, "0123456789abcdef") != "" {
			continue // perhaps the leftover of a file whose name starts like this one's
		}
		removeUnlocked(filepath.Join(dir, n))
	}
}

// Commit makes what was written durable and gives the file its name. If it fails,
// nothing is left, and what had the name before has it still.
func (f *File) Commit() error {
	if f.done {
		return errors.New("output: file was committed or aborted already")
	}
	if err := f.Sync(); err != nil {
		f.Abort()
		return err
	}
	f.closeDirect()
	if runtime.GOOS == "windows" { // where an open file can not be renamed
		f.File.Close()
	}
	if err := f.rename(); err != nil {
		f.Abort()
		return err
	}
	f.done = true
	// All is on the disk, so closing has nothing to add; it ends the lock.
	f.File.Close()
	return syncDir(filepath.Dir(f.name))
}

// Abort removes what was written.
func (f *File) Abort() {
	if f.done {
		return
	}
	f.done = true
	f.closeDirect()
	remove(f.File)
}

// Remove takes back what Commit did, unless it replaced a file.
func (f *File) Remove() {
	if f.done && !f.force {
		os.Remove(f.name)
	}
}

func (f *File) rename() error {
	if f.force {
		return os.Rename(f.File.Name(), f.name)
	}
	err := renameNew(f.File.Name(), f.name)
	if errors.Is(err, fs.ErrExist) {
		return &fs.PathError{Op: "create", Path: f.name, Err: fs.ErrExist}
	}
	return err
}

// renameUnlessThere is renameNew where the system has no such call: there is a moment
// between the look and the renaming.
func renameUnlessThere(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return fs.ErrExist
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(from, to)
}
