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

	"github.com/luksimg/luksimg/internal/fsys"
)

// system is where files are made.
var system = fsys.OS

// Use has files made on another filesystem, until the returned function is called. It is for
// tests, one at a time.
func Use(other fsys.FS) (restore func()) {
	before := system
	system = other
	return func() { system = before }
}

// A File is being written. Exactly one of Commit and Abort ends it; Abort after
// either does nothing.
type File struct {
	fsys.File
	name     string // the final one
	force    bool
	replaced bool // another file, which had the name
	done     bool
	written  atomic.Int64 // bytes, on systems where that matters
	direct   *direct      // nil unless it is to be used
}

const suffix = ".luksimg-partial"

// ErrNotRegular means that the name is that of a device, a pipe or a folder, or of a link to one, and
// will not be replaced.
var ErrNotRegular = errors.New("not a regular file, and will not be replaced")

// ErrFolder means that the name is that of a folder. It is an [ErrNotRegular] too.
var ErrFolder error = isFolder{}

type isFolder struct{}

func (isFolder) Error() string        { return "this is a folder" }
func (isFolder) Is(target error) bool { return target == ErrNotRegular }

// ErrNoFolder means that the folder of a name is missing. It matches [fs.ErrNotExist].
var ErrNoFolder error = noFolder{}

type noFolder struct{}

func (noFolder) Error() string        { return "the folder is missing" }
func (noFolder) Is(target error) bool { return target == fs.ErrNotExist }

// Create starts a file that will have this name, and the given permissions less the
// umask. Without force the name must not be taken, now and when the file is whole.
// Only a regular file is ever replaced, or a link to one; see [ErrNotRegular].
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
		ok, err := system.TryLock(f)
		if err != nil {
			f.Close()
			system.Remove(f.Name())
			return nil, err
		}
		if ok && system.IsNamed(f, f.Name()) {
			return &File{File: f, name: name, force: force}, nil
		}
		f.Close() // another run took it for a leftover just now
	}
}

// free refuses a name that is taken, but by a regular file that may be replaced.
func free(name string, force bool) error {
	switch fi, err := system.Lstat(name); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case fi.IsDir():
		return fmt.Errorf("%s: %w", name, ErrFolder)
	case !fi.Mode().IsRegular() && (fi.Mode()&fs.ModeSymlink == 0 || leadsToDevice(name)):
		return fmt.Errorf("%s: %w", name, ErrNotRegular)
	case !force:
		return &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	return nil
}

// removeLeftovers removes the temporary files of runs that were killed: those that
// nobody holds a lock on.
func removeLeftovers(dir, prefix string) {
	entries, err := system.ReadDir(dir)
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

// Commit makes what was written durable and gives the file its name. If it fails, nothing
// is left, and what had the name before has it still; but if the name itself can not be made
// durable, and replaced another file, the error says so.
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
	return f.syncName()
}

// syncName makes the name durable. If that fails a new file is taken back: nobody knows
// what the folder has after the next power failure.
func (f *File) syncName() error {
	dir := filepath.Dir(f.name)
	err := system.SyncDir(dir)
	switch {
	case err == nil:
		return nil
	case f.replaced:
		return fmt.Errorf("%s: is the new file, whole, but after a power failure the old one may be back: %w", f.name, err)
	}
	if e := system.Remove(f.name); e != nil {
		return fmt.Errorf("%s: is there, whole, but after a power failure it may be gone: %w", f.name, errors.Join(err, e))
	}
	system.SyncDir(dir)
	return err
}

// Truncate gives the file its length. An error has that length, and the name that the file
// will have.
func (f *File) Truncate(size int64) error {
	err := f.File.Truncate(size)
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("a file of %d bytes: %w", size, &fs.PathError{Op: p.Op, Path: f.name, Err: p.Err})
	}
	return err
}

// Abort removes what was written.
func (f *File) Abort() {
	if f.done {
		return
	}
	f.done = true
	f.closeDirect()
	discard(f.File)
}

// Remove takes back what Commit did, unless it replaced a file.
func (f *File) Remove() {
	if f.done && !f.replaced {
		system.Remove(f.name)
		system.SyncDir(filepath.Dir(f.name))
	}
}

// rename gives the file its name, and finds out whether another one had it.
func (f *File) rename() error {
	err := system.RenameNew(f.File.Name(), f.name)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if !f.force {
		return &fs.PathError{Op: "create", Path: f.name, Err: fs.ErrExist}
	}
	f.replaced = true
	return system.Rename(f.File.Name(), f.name)
}

// removeUnlocked removes a temporary file unless a run that still goes on has it.
func removeUnlocked(name string) {
	f, err := system.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return
	}
	if ok, err := system.TryLock(f); ok && err == nil {
		discard(f)
		return
	}
	f.Close()
}

// discard removes an open file: before it is closed, so that no other run finds it
// unlocked, but on Windows, which does not remove what is open.
func discard(f fsys.File) {
	if runtime.GOOS == "windows" {
		f.Close()
		system.Remove(f.Name())
		return
	}
	system.Remove(f.Name())
	f.Close()
}
