// Package target writes the files of images. It gives the writers of all formats complete writes,
// errors with offsets, holes for zeros, and a sync if the destination has one.
package target

import (
	"fmt"
	"io"
	"sync/atomic"

	"github.com/luksimg/luksimg/internal/pieces"
)

// A File is the destination of an image. It is safe for concurrent use if W is.
type File struct {
	Format string // name of the format in errors: "vhd"
	W      io.WriterAt

	end atomic.Int64 // end of the written data
}

// WriteAt writes all of p, or returns an error with the offset.
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

// WriteSparse writes p except for its runs of zeros, which stay holes.
func (f *File) WriteSparse(p []byte, off int64) error { return pieces.WriteSparse(f, p, off) }

// Extend makes the file size bytes long. If the data ends before, it writes a zero as the last byte.
func (f *File) Extend(size int64) error {
	if f.end.Load() >= size {
		return nil
	}
	_, err := f.WriteAt([]byte{0}, size-1)
	return err
}

// Sync calls the Sync method of W, if it has one.
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
