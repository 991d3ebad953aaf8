// Package fsys names the calls of a filesystem that writing files safely takes, so that
// tests can have them fail. [OS] is the filesystem of the system.
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

// An FS is a filesystem. Its methods are safe for concurrent use, and their errors are
// those of package os.
type FS interface {
	// OpenFile is [os.OpenFile], but a link in the last element of the name is an error,
	// and opening a pipe does not wait for its other end.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	Lstat(name string) (fs.FileInfo, error)
	ReadDir(name string) ([]fs.DirEntry, error)
	Remove(name string) error
	// Rename gives a file a name, which another one may have had.
	Rename(from, to string) error
	// RenameNew is Rename to a name that must be free; if not, that is [fs.ErrExist].
	RenameNew(from, to string) error
	// SyncDir makes the names in a folder durable. Where a system cannot, it does nothing.
	SyncDir(name string) error
	// TryLock locks a file of this filesystem until it is closed. It is false if another
	// process has it locked. Where the filesystem has no locks it is true.
	TryLock(f File) (bool, error)
	// IsNamed tells whether an open file is the one that has this name now.
	IsNamed(f File, name string) bool
}

// OS is the filesystem of the system.
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
