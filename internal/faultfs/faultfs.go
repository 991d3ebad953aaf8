// Package faultfs is an in-memory filesystem for tests: any call can fail, writes can be torn, and the
// power can be lost.
//
//   - [Failures] runs a piece of work once for each of its calls, and makes that call fail.
//   - [FS.Crashes] yields the possible states of the disk if the power is lost: after
//     each call, with and without each change that was not synced.
//
// It is as unreliable as POSIX allows. Data is durable after a Sync of the file, and a name after a
// Sync of its folder. Until then any subset of the changes can survive, in any order, and any sectors
// of a write. A failed Sync loses the changes that it covers, whatever a later Sync returns, unless
// they are made again.
//
// Names are as in package path/filepath, and all folders exist. It has no links.
package faultfs

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/luksimg/luksimg/internal/fsys"
)

// Sector is the size of an atomic write, in bytes.
const Sector = 512

// An Op is a kind of call.
type Op string

// These are the kinds of calls.
const (
	Open     Op = "open"
	Read     Op = "read" // of a file's data or a folder's names
	Write    Op = "write"
	Sync     Op = "sync"
	SyncDir  Op = "sync folder"
	Truncate Op = "truncate"
	Rename   Op = "rename"
	Remove   Op = "remove"
	Close    Op = "close"
	Stat     Op = "stat"
)

// A Call describes a call that is about to be made.
type Call struct {
	N    int // its number, from 1
	Op   Op
	Name string // name of the file or folder
	Off  int64  // offset of a read or write
	Len  int
}

// An FS is a filesystem, made by [New]. The zero value is not usable. An FS is safe for concurrent use.
type FS struct {
	mu    sync.Mutex
	calls int
	fail  func(Call) (n int, err error)

	names   map[string]*node
	base    map[string]*node // names at the start of the journal; see also node.before
	journal []record
}

var _ fsys.FS = (*FS)(nil)

// New returns an empty filesystem.
func New() *FS {
	return &FS{base: map[string]*node{}, names: map[string]*node{}}
}

// Fail makes the filesystem call f before each call. If f returns an error, the call fails with it; a
// read or write processes n bytes first. f runs while the filesystem is locked.
func (d *FS) Fail(f func(c Call) (n int, err error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = f
}

// Calls returns the number of calls so far.
func (d *FS) Calls() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

// WriteFile writes a file and makes it and all earlier changes durable. It never fails, and does not
// count as a call.
func (d *FS) WriteFile(name string, b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := newNode(0o600)
	n.writeAt(b, 0)
	d.names[clean(name)] = n
	d.settle()
}

// settle starts a new journal.
func (d *FS) settle() {
	d.base = maps.Clone(d.names)
	for _, n := range d.names {
		n.before = n.clone()
	}
	d.journal = nil
}

// Settle makes all changes durable. [FS.Crashes] begins at this point.
func (d *FS) Settle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settle()
}

// ReadFile returns the content of a file, or nil if it does not exist. It never fails, and does not
// count as a call.
func (d *FS) ReadFile(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.names[clean(name)]
	if n == nil {
		return nil
	}
	b := make([]byte, n.size)
	n.readAt(b, 0)
	return b
}

// Names returns the names of all files in sorted order.
func (d *FS) Names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := []string{}
	for name := range d.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func clean(name string) string { return filepath.Clean(name) }

// call counts a call and returns whether it has to fail.
func (d *FS) call(op Op, name string, off int64, n int) (int, error) {
	d.calls++
	if d.fail == nil {
		return 0, nil
	}
	done, err := d.fail(Call{d.calls, op, name, off, n})
	if err != nil {
		err = &fs.PathError{Op: string(op), Path: name, Err: err}
	}
	return min(done, n), err
}

// OpenFile implements [fsys.FS].
func (d *FS) OpenFile(name string, flag int, perm fs.FileMode) (fsys.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.call(Open, name, 0, 0); err != nil {
		return nil, err
	}
	n := d.names[clean(name)]
	switch {
	case n == nil && flag&os.O_CREATE == 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
	case n != nil && flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EEXIST}
	case n == nil:
		n = newNode(perm)
		d.setNames(map[string]*node{clean(name): n})
	}
	f := &File{fs: d, node: n, name: name, append: flag&os.O_APPEND != 0}
	if flag&os.O_TRUNC != 0 {
		f.truncate(0)
	}
	return f, nil
}

// setNames replaces all names at once. A nil node means no file.
func (d *FS) setNames(names map[string]*node) {
	for name, n := range names {
		if n == nil {
			delete(d.names, name)
		} else {
			d.names[name] = n
		}
	}
	d.journal = append(d.journal, record{names: names})
}

// Lstat implements [fsys.FS].
func (d *FS) Lstat(name string) (fs.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.call(Stat, name, 0, 0); err != nil {
		return nil, err
	}
	n := d.names[clean(name)]
	if n == nil {
		return nil, &fs.PathError{Op: "lstat", Path: name, Err: syscall.ENOENT}
	}
	return n.info(name), nil
}

// ReadDir implements [fsys.FS].
func (d *FS) ReadDir(dir string) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.call(Read, dir, 0, 0); err != nil {
		return nil, err
	}
	var entries []fs.DirEntry
	for name, n := range d.names {
		if filepath.Dir(name) == clean(dir) {
			entries = append(entries, fs.FileInfoToDirEntry(n.info(name)))
		}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// Remove implements [fsys.FS].
func (d *FS) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.call(Remove, name, 0, 0); err != nil {
		return err
	}
	if d.names[clean(name)] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOENT}
	}
	d.setNames(map[string]*node{clean(name): nil})
	return nil
}

// Rename implements [fsys.FS].
func (d *FS) Rename(from, to string) error { return d.rename(from, to, false) }

// RenameNew implements [fsys.FS].
func (d *FS) RenameNew(from, to string) error { return d.rename(from, to, true) }

func (d *FS) rename(from, to string, free bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.call(Rename, to, 0, 0); err != nil {
		return err
	}
	n := d.names[clean(from)]
	switch {
	case n == nil:
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: syscall.ENOENT}
	case free && d.names[clean(to)] != nil:
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: syscall.EEXIST}
	}
	d.setNames(map[string]*node{clean(from): nil, clean(to): n})
	return nil
}

// SyncDir implements [fsys.FS].
func (d *FS) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, err := d.call(SyncDir, dir, 0, 0)
	d.synced(err != nil, func(r *record) bool {
		for name := range r.names {
			if filepath.Dir(name) == clean(dir) {
				return true
			}
		}
		return false
	})
	return err
}

// TryLock implements [fsys.FS].
func (d *FS) TryLock(f fsys.File) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := f.(*File).node
	if n.holder != nil && n.holder != f {
		return false, nil
	}
	n.holder = f.(*File)
	return true, nil
}

// IsNamed implements [fsys.FS].
func (d *FS) IsNamed(f fsys.File, name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.names[clean(name)] == f.(*File).node
}
