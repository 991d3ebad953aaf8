// Package target writes the file that an image becomes. The writers of all formats have the same
// wants of it: whole writes, errors that say where, holes for zeros, and a sync if there is one.
package target

import (
	"fmt"
	"io"
	"sync/atomic"

	"github.com/luksimg/luksimg/internal/pieces"
)

// A File is what an image is written to. It is safe for concurrent use if W is.
type File struct {
	Format string // how errors call the format: "vhd"
	W      io.WriterAt

	end atomic.Int64 // of what was written
}

// WriteAt writes all of p, or returns an error that says where.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.W.WriteAt(p, off)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return n, fmt.Errorf("%s: write at %d: %w", f.Format, off, err)
	}
	for end := off + int64(n); ; {
		if last := f.end.Load(); last >= end || f.end.CompareAndSwap(last, end) {
			return n, nil
		}
	}
}

// WriteSparse writes p, but for its runs of zeros, which stay holes.
func (f *File) WriteSparse(p []byte, off int64) error { return pieces.WriteSparse(f, p, off) }

// Extend makes the file size bytes long, if nothing was written there: by a zero as its last byte.
func (f *File) Extend(size int64) error {
	if f.end.Load() >= size {
		return nil
	}
	_, err := f.WriteAt([]byte{0}, size-1)
	return err
}

// Sync waits until what was written is on the disk, if W can do that.
func (f *File) Sync() error {
	s, ok := f.W.(interface{ Sync() error })
	if !ok {
		return nil
	}
	if err := s.Sync(); err != nil {
		return fmt.Errorf("%s: %w", f.Format, err)
	}
	return nil
}
