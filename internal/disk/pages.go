package disk

import (
	"bytes"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/luksimg/luksimg/image"
)

const (
	pageSlotBits = 9
	pageSlots    = 1 << pageSlotBits // maximum number of pages in a cache
	spanSlots    = 4                 // spans; a caller can walk two tables at the same time
)

// Pages reads the tables of images in pages and caches pages. A table can have many megabytes, of
// which a read needs a few bytes. Each page has one slot, so that a lookup is one atomic load. A
// new page replaces the previous one in its slot. Pages does not read from holes of a file that
// reports them. It is safe for concurrent use.
type Pages struct {
	Format string // name of the format in errors
	Size   int64  // of a page, in bytes: a power of two
	slots  [pageSlots]atomic.Pointer[Page]
	spans  [spanSlots]atomic.Pointer[span] // the most recent ones
	spanAt atomic.Uint32                   // index of the latest span
	zeros  atomic.Pointer[[]byte]          // the content of all pages in holes
}

// A span is a part of a file that either is a hole or is not.
type span struct {
	f        *File
	from, to int64
	hole     bool
}

// A Page is an immutable part of a file. The last page of a file can be short.
type Page struct {
	f    *File
	Off  int64 // in the file
	B    []byte
	Zero bool // all of B is zeros
}

// Page returns the page of f that contains the byte at off. The file has size bytes.
func (c *Pages) Page(f *File, size, off int64) (*Page, error) {
	if off < 0 || off >= size {
		return nil, fmt.Errorf("%s: read at offset %d past the end of the file (%d bytes): %w", c.Format, off, size, io.ErrUnexpectedEOF)
	}
	start := off &^ (c.Size - 1)
	// Consecutive lookups mostly hit adjacent pages, or pages as far apart as the blocks of the
	// image. Multiplying by 2^64 over the golden ratio spreads both over the slots (Knuth, The Art
	// of Computer Programming, section 6.4).
	slot := &c.slots[uint64(start/c.Size)*0x9e3779b97f4a7c15>>(64-pageSlotBits)]
	if p := slot.Load(); p != nil && p.Off == start && p.f == f {
		return p, nil
	}
	length := min(c.Size, size-start)
	if c.Hole(f, size, start, length) {
		return &Page{f: f, Off: start, B: c.zeroPage()[:length], Zero: true}, nil
	}
	p := &Page{f: f, Off: start, B: make([]byte, length)}
	if _, err := ReadFull(c.Format, f.R, p.B, start); err != nil {
		return nil, err
	}
	p.Zero = len(bytes.TrimLeft(p.B, "\x00")) == 0
	slot.Store(p)
	return p, nil
}

// Hole reports whether the n bytes at off of f are known to lie in a hole. The file has size bytes.
func (c *Pages) Hole(f *File, size, off, n int64) bool {
	src, ok := f.R.(image.Extenter)
	if !ok || off < 0 || n <= 0 || n > size-off {
		return false
	}
	for i := range c.spans {
		if s := c.spans[i].Load(); s != nil && s.f == f && off >= s.from && off < s.to {
			return s.hole && n <= s.to-off
		}
	}
	s := &span{f: f, from: off, to: size}
	// Look at the first extent only. If that fails, a later read returns the error.
	for e, err := range src.Extents(off, size-off) {
		if err == nil && e.Offset <= off && e.End() > off {
			s.to, s.hole = e.End(), e.Kind != image.Data
		}
		break
	}
	c.spans[c.spanAt.Add(1)%spanSlots].Store(s)
	return s.hole && n <= s.to-off
}

// zeroPage returns a shared page of zeros, which must not be modified.
func (c *Pages) zeroPage() []byte {
	if b := c.zeros.Load(); b != nil {
		return *b
	}
	b := make([]byte, c.Size)
	c.zeros.Store(&b)
	return b
}
