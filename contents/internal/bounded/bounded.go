// Package bounded reads parts of a disk image within limits on the range, the number of bytes and
// the number of reads.
package bounded

import (
	"context"
	"errors"
	"fmt"
	"io"
)

var (
	// ErrLimit means that the reads exceed the limits.
	ErrLimit = errors.New("too much data to read")

	// ErrRange means that a read lies outside the disk or the partition.
	ErrRange = errors.New("outside the disk or partition")
)

// A budget is the remaining allowance of reads.
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
	budgets []*budget // its own budget and those of the readers that it is a part of
	failure *error    // shared with all parts
}

// New returns a reader of the size bytes of src. It reads until ctx is done, and at most the given
// number of bytes in the given number of reads.
func New(ctx context.Context, src io.ReaderAt, size, bytes int64, reads int) *Reader {
	return &Reader{ctx, src, 0, size, []*budget{{bytes, reads}}, new(error)}
}

// Section returns a reader of a part, clipped to r, with its own limits in addition to those of r.
func (r *Reader) Section(off, n, bytes int64, reads int) *Reader {
	s := *r
	off = min(max(off, 0), r.size)
	s.start += off
	s.size = min(max(n, 0), r.size-off)
	s.budgets = append([]*budget{{bytes, reads}}, r.budgets...)
	return &s
}

// Size returns the length of the readable range in bytes.
func (r *Reader) Size() int64 { return r.size }

// Failure returns the error of the source, or the cause of ctx. It is nil after an error that the
// data caused.
func (r *Reader) Failure() error { return *r.failure }

// Read fills p from offset off. Its errors match [ErrRange] or [ErrLimit], or are those that
// Failure returns from then on.
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

// Bytes returns up to n bytes from offset off, fewer at the end of the range.
func (r *Reader) Bytes(off, n int64) ([]byte, error) {
	if off < 0 || off > r.size {
		return nil, fmt.Errorf("offset %d is %w", off, ErrRange)
	}
	p := make([]byte, min(n, r.size-off))
	return p, r.Read(p, off)
}
