// Package fsys is an interface to the filesystem operations that writing files safely requires.
// Tests replace it to make them fail. [OS] is the operating system's filesystem.
package fsys

import (
	"io"
	"io/fs"
	"os"
)

// A File is an open file. An [os.File] is one.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt
	io.StringWriter
	io.Seeker
	io.Closer
	Name() string
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
}

// An FS is a filesystem. Its methods are safe for concurrent use and return the errors of package
// os.
type FS interface {
	// OpenFile is [os.OpenFile], except that it fails if the last element of the name is a symbolic
	// link, and does not block on a FIFO.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	Lstat(name string) (fs.FileInfo, error)
	ReadDir(name string) ([]fs.DirEntry, error)
	Remove(name string) error
	// Rename renames a file. It replaces an existing file of the new name.
	Rename(from, to string) error
	// RenameNew is Rename that fails with [fs.ErrExist] if the new name exists.
	RenameNew(from, to string) error
	// SyncDir makes the names in a folder durable. It does nothing on systems that do not support
	// that.
	SyncDir(name string) error
	// TryLock locks a file of this filesystem until it is closed. It returns false if another
	// process holds the lock, and true if the filesystem has no locks.
	TryLock(f File) (bool, error)
	// IsNamed reports whether name refers to the open file f.
	IsNamed(f File, name string) bool
}

// OS is the operating system's filesystem.
var OS FS = system{}

type system struct{}

func (system) Lstat(name string) (fs.FileInfo, error)     { return os.Lstat(name) }
func (system) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }
func (system) Remove(name string) error                   { return os.Remove(name) }
func (system) Rename(from, to string) error               { return os.Rename(from, to) }

func (system) IsNamed(f File, name string) bool {
	a, errA := f.Stat()
	b, errB := os.Lstat(name)
	return errA == nil && errB == nil && os.SameFile(a, b)
}
