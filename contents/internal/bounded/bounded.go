// Package bounded reads parts of a disk image within limits: of the part itself, of
// how many bytes are read, and in how many pieces.
package bounded

import (
	"context"
	"errors"
	"fmt"
	"io"
)

var (
	// ErrLimit says that more would have to be read than is allowed.
	ErrLimit = errors.New("too much would have to be read")

	// ErrRange says that something lies outside the disk or the partition.
	ErrRange = errors.New("outside the disk or partition")
)

// A budget is what may still be read.
type budget struct {
	bytes int64
	reads int
}

// A Reader reads a part of a source. It is not safe for concurrent use.
type Reader struct {
	ctx     context.Context
	src     io.ReaderAt
	start   int64
	size    int64
	budgets []*budget // its own, and those of what it is a part of
	failure *error    // shared with all parts
}

// New returns a reader of the size bytes of src, that reads until ctx ends, and at most
// that many bytes, in that many pieces.
func New(ctx context.Context, src io.ReaderAt, size, bytes int64, reads int) *Reader {
	return &Reader{ctx, src, 0, size, []*budget{{bytes, reads}}, new(error)}
}

// Section returns a reader of a part, clipped to r, with the limits of r and its own.
func (r *Reader) Section(off, n, bytes int64, reads int) *Reader {
	s := *r
	off = min(max(off, 0), r.size)
	s.start += off
	s.size = min(max(n, 0), r.size-off)
	s.budgets = append([]*budget{{bytes, reads}}, r.budgets...)
	return &s
}

// Size returns the length of what may be read, in bytes.
func (r *Reader) Size() int64 { return r.size }

// Failure returns why the source could not be read, or why the context ended: unlike
// the errors that are due to what was read.
func (r *Reader) Failure() error { return *r.failure }

// Read fills p from offset off. Its errors are [ErrRange] and [ErrLimit], and those
// that Failure returns from then on.
func (r *Reader) Read(p []byte, off int64) error {
	if *r.failure != nil {
		return *r.failure
	}
	if r.ctx.Err() != nil {
		*r.failure = context.Cause(r.ctx)
		return *r.failure
	}
	n := int64(len(p))
	if off < 0 || off > r.size || n > r.size-off {
		return fmt.Errorf("%d bytes at %d are %w", n, off, ErrRange)
	}
	for _, b := range r.budgets {
		if b.reads <= 0 || b.bytes < n {
			return ErrLimit
		}
	}
	for _, b := range r.budgets {
		b.reads--
		b.bytes -= n
	}
	got, err := r.src.ReadAt(p, r.start+off)
	if got == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	*r.failure = err
	return err
}

// Bytes returns up to n bytes from offset off, fewer at the end of the part.
func (r *Reader) Bytes(off, n int64) ([]byte, error) {
	if off < 0 || off > r.size {
		return nil, fmt.Errorf("offset %d is %w", off, ErrRange)
	}
	p := make([]byte, min(n, r.size-off))
	return p, r.Read(p, off)
}
