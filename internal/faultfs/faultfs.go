// Package faultfs is a filesystem in memory for tests: each of its calls can fail, writes
// can be torn, and its power can be lost.
//
//   - [Failures] runs a piece of work once for each of its calls, which then fails.
//   - [FS.Crashes] gives what may be on the disk if the power is lost at any moment: after
//     each call, with and without everything that was not synced.
//
// It is as unkind as POSIX allows. What was written to a file is on the disk when the file
// was synced, and a name when its folder was; until then any part of it may be there, in any
// order, and of a write any sectors. What a failed Sync was about is lost for good, unless it
// is written again, whatever a later Sync says.
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

// Sector is what the disk writes as a whole, in bytes.
const Sector = 512

// An Op is a kind of call.
type Op string

// The calls.
const (
	Open     Op = "open"
	Read     Op = "read" // from a file, or the names in a folder
	Write    Op = "write"
	Sync     Op = "sync"
	SyncDir  Op = "sync folder"
	Truncate Op = "truncate"
	Rename   Op = "rename"
	Remove   Op = "remove"
	Close    Op = "close"
	Stat     Op = "stat"
)

// A Call is one that is about to be made.
type Call struct {
	N    int // its number, from 1
	Op   Op
	Name string // of the file, or the folder
	Off  int64  // of a read or a write
	Len  int
}

// An FS is a filesystem. The zero value is not one; see [New]. It is safe for concurrent use.
type FS struct {
	mu    sync.Mutex
	calls int
	fail  func(Call) (n int, err error)

	names   map[string]*node
	base    map[string]*node // the names when the journal began; see also node.before
	journal []record
}

var _ fsys.FS = (*FS)(nil)

// New returns an empty filesystem.
func New() *FS {
	return &FS{base: map[string]*node{}, names: map[string]*node{}}
}

// Fail has f asked before each call. If f returns an error the call fails with it; of a
// write, or a read, n bytes are done before. It is called with the filesystem locked.
func (d *FS) Fail(f func(c Call) (n int, err error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = f
}

// Calls returns how many calls there were.
func (d *FS) Calls() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

// WriteFile puts a file on the disk, durably, and all that was done before as well. It is
// not a call that can fail.
func (d *FS) WriteFile(name string, b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := newNode(0o600)
	n.writeAt(b, 0)
	d.names[clean(name)] = n
	d.settle()
}

// settle makes the journal begin now.
func (d *FS) settle() {
	d.base = maps.Clone(d.names)
	for _, n := range d.names {
		n.before = n.clone()
	}
	d.journal = nil
}

// Settle makes all that was done until now durable: [FS.Crashes] begins here.
func (d *FS) Settle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settle()
}

// ReadFile returns what a file holds; nil if there is none. It is not a call that can fail.
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

// Names returns the names of all files, in order.
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

// call counts a call and asks whether it is to fail.
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

// setNames changes what names mean, at once; nil is none.
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
