// Package output writes files that appear under their name only when they are complete and synced.
// Until then the data is in a temporary file in the same folder. If the process is killed, a later run
// removes it.
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

// system is the filesystem on which files are created.
var system = fsys.OS

// Use makes the package use another filesystem until restore is called. It is for tests that do not run
// in parallel.
func Use(other fsys.FS) (restore func()) {
	before := system
	system = other
	return func() { system = before }
}

// A File is a file that is being written. Commit or Abort must be called at the end. Abort after either
// of them does nothing.
type File struct {
	fsys.File
	name     string // final name
	force    bool
	replaced bool // the rename replaced another file
	done     bool
	written  atomic.Int64 // bytes written, on systems where that matters
	direct   *direct      // nil if writes go through the cache
}

const suffix = ".luksimg-partial"

// ErrNotRegular means that the name is that of a device, a pipe or a folder, or of a link to one, and
// cannot be replaced.
var ErrNotRegular = errors.New("not a regular file, and will not be replaced")

// ErrFolder means that the name is that of a folder. It matches [ErrNotRegular].
var ErrFolder error = isFolder{}

type isFolder struct{}

func (isFolder) Error() string        { return "this is a folder" }
func (isFolder) Is(target error) bool { return target == ErrNotRegular }

// ErrNoFolder means that the folder of the file does not exist. It matches [fs.ErrNotExist].
var ErrNoFolder error = noFolder{}

type noFolder struct{}

func (noFolder) Error() string        { return "the folder is missing" }
func (noFolder) Is(target error) bool { return target == fs.ErrNotExist }

// Create starts a file with this final name, and with the permissions perm minus the umask. Without
// force, it is an error if the name exists, now or at Commit. Create replaces only a regular file or a
// link to one; see [ErrNotRegular].
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
		f.Close() // another run has removed it as a leftover
	}
}

// free returns an error if the name exists, unless it is a regular file that may be replaced.
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

// removeLeftovers removes temporary files that no process has locked: those of killed runs.
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
			continue // perhaps the leftover of a file whose name has the same prefix
		}
		removeUnlocked(filepath.Join(dir, n))
	}
}

// Commit syncs the file and gives it its name. If Commit fails, it removes the new file, and a file
// that had the name before keeps it. The exception is a failed sync of the folder after the new file
// replaced another one, which the error reports.
func (f *File) Commit() error {
	if f.done {
		return errors.New("output: file was committed or aborted already")
	}
	if err := f.Sync(); err != nil {
		f.Abort()
		return err
	}
	f.closeDirect()
	if runtime.GOOS == "windows" { // where an open file cannot be renamed
		f.File.Close()
	}
	if err := f.rename(); err != nil {
		f.Abort()
		return err
	}
	f.done = true
	// The file is synced, so Close has no error to report. It releases the lock.
	f.File.Close()
	return f.syncName()
}

// syncName makes the name durable. If that fails, it removes a new file, because the folder may lose it
// in a power failure.
func (f *File) syncName() error {
	dir := filepath.Dir(f.name)
	err := system.SyncDir(dir)
	switch {
	case err == nil:
		return nil
	case f.replaced:
		return fmt.Errorf("%s: the new file is complete, but after a power failure the old one may be back: %w", f.name, err)
	}
	if e := system.Remove(f.name); e != nil {
		return fmt.Errorf("%s: the file is complete, but after a power failure it may be gone: %w", f.name, errors.Join(err, e))
	}
	system.SyncDir(dir)
	return err
}

// Truncate sets the length of the file. Its error has that length and the final name of the file.
func (f *File) Truncate(size int64) error {
	err := f.File.Truncate(size)
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("a file of %d bytes: %w", size, &fs.PathError{Op: p.Op, Path: f.name, Err: p.Err})
	}
	return err
}

// Abort discards the file.
func (f *File) Abort() {
	if f.done {
		return
	}
	f.done = true
	f.closeDirect()
	discard(f.File)
}

// Remove removes a committed file, unless it replaced another one.
func (f *File) Remove() {
	if f.done && !f.replaced {
		system.Remove(f.name)
		system.SyncDir(filepath.Dir(f.name))
	}
}

// rename gives the file its name, and records whether it replaced another file.
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

// removeUnlocked removes a temporary file unless another run has it locked.
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

// discard removes an open file. It does so before it closes the file, so that no other run finds it
// unlocked. Windows cannot remove open files, so there it closes the file first.
func discard(f fsys.File) {
	if runtime.GOOS == "windows" {
		f.Close()
		system.Remove(f.Name())
		return
	}
	system.Remove(f.Name())
	f.Close()
}
