package faultfs

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/luksimg/luksimg/internal/fsys"
)

// A File is an open file of an [FS].
type File struct {
	fs     *FS
	node   *node
	name   string
	off    int64
	append bool
	closed bool
}

var _ fsys.File = (*File)(nil)

// Open opens an existing file for reading and writing. It panics if the file does not exist, and does
// not count as a call.
func (d *FS) Open(name string) *File {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.names[clean(name)]
	if n == nil {
		panic("faultfs: no file named " + name)
	}
	return &File{fs: d, node: n, name: name}
}

// Name returns the name under which the file was opened.
func (f *File) Name() string { return f.name }

// Size returns the length of the file in bytes. It never fails, and does not count as a call.
func (f *File) Size() int64 {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return f.node.size
}

// call counts a call on an open file.
func (f *File) call(op Op, off int64, n int) (int, error) {
	if f.closed {
		return 0, &fs.PathError{Op: string(op), Path: f.name, Err: fs.ErrClosed}
	}
	return f.fs.call(op, f.name, off, n)
}

// ReadAt implements [io.ReaderAt].
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return f.readAt(p, off)
}

func (f *File) readAt(p []byte, off int64) (int, error) {
	if n, err := f.call(Read, off, len(p)); err != nil {
		return f.node.readAt(p[:n], off), err
	}
	n := f.node.readAt(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Read implements [io.Reader].
func (f *File) Read(p []byte) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	n, err := f.readAt(p, f.off)
	f.off += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// WriteAt implements [io.WriterAt].
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return f.writeAt(p, off)
}

func (f *File) writeAt(p []byte, off int64) (int, error) {
	n, err := f.call(Write, off, len(p))
	if err == nil {
		n = len(p)
	}
	if n > 0 {
		f.node.writeAt(p[:n], off)
		f.fs.journal = append(f.fs.journal, record{node: f.node, data: slices.Clone(p[:n]), off: off})
	}
	return n, err
}

// Write implements [io.Writer].
func (f *File) Write(p []byte) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.append {
		f.off = f.node.size
	}
	n, err := f.writeAt(p, f.off)
	f.off += int64(n)
	return n, err
}

// WriteString implements [io.StringWriter].
func (f *File) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

// Seek implements [io.Seeker].
func (f *File) Seek(off int64, whence int) (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		off += f.off
	case io.SeekEnd:
		off += f.node.size
	}
	if off < 0 {
		return 0, &fs.PathError{Op: "seek", Path: f.name, Err: syscall.EINVAL}
	}
	f.off = off
	return off, nil
}

// Truncate changes the length of the file.
func (f *File) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if _, err := f.call(Truncate, size, 0); err != nil {
		return err
	}
	f.truncate(size)
	return nil
}

func (f *File) truncate(size int64) {
	f.node.truncate(size)
	f.fs.journal = append(f.fs.journal, record{node: f.node, cut: true, off: size})
}

// Sync makes the content of the file durable, but not its name.
func (f *File) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	_, err := f.call(Sync, 0, 0)
	if errors.Is(err, fs.ErrClosed) {
		return err
	}
	f.fs.synced(err != nil, func(r *record) bool { return r.node == f.node })
	return err
}

// Stat implements [fs.File].
func (f *File) Stat() (fs.FileInfo, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if _, err := f.call(Stat, 0, 0); err != nil {
		return nil, err
	}
	return f.node.info(f.name), nil
}

// Close closes the file, even if it returns an error.
func (f *File) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	_, err := f.call(Close, 0, 0)
	f.closed = true
	if f.node.holder == f {
		f.node.holder = nil
	}
	return err
}

// info is an [fs.FileInfo]. Its Sys identifies the file.
type info struct {
	name string
	size int64
	mode fs.FileMode
	time time.Time
	node *node
}

func (n *node) info(name string) info {
	return info{filepath.Base(name), n.size, n.mode, n.time, n}
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.time }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return i.node }
