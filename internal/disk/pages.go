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
	pageSlots    = 1 << pageSlotBits // pages that a cache keeps at most
	spanSlots    = 4                 // spans; two tables may be gone through side by side
)

// Pages reads the tables of images in pages and keeps those that were used last: of the
// megabytes that a table may have, a read needs a few bytes. A page has one place where it
// may be, so that a look-up is one atomic load; what was there before is dropped. Where the
// file has a hole, if its reader can tell, nothing is read. It is safe for concurrent use.
type Pages struct {
	Format string // how errors call the format
	Size   int64  // of a page, in bytes: a power of two
	slots  [pageSlots]atomic.Pointer[Page]
	spans  [spanSlots]atomic.Pointer[span] // that were asked for last
	spanAt atomic.Uint32                   // of the last of them
	zeros  atomic.Pointer[[]byte]          // the content of all pages in holes
}

// A span is a part of a file that is a hole, or is none.
type span struct {
	f        *File
	from, to int64
	hole     bool
}

// A Page is a part of a file, which does not change. At the end of a file it may be cut
// short.
type Page struct {
	f    *File
	Off  int64 // in the file
	B    []byte
	Zero bool // all of B is zeros
}

// Page returns the page of f, a file of size bytes, that off is in.
func (c *Pages) Page(f *File, size, off int64) (*Page, error) {
	if off < 0 || off >= size {
		return nil, fmt.Errorf("%s: read at offset %d of the file, which has %d bytes: %w", c.Format, off, size, io.ErrUnexpectedEOF)
	}
	start := off &^ (c.Size - 1)
	// Pages that are used one after the other are next to each other in most files, or as far
	// apart as the blocks of an image are. Multiplying by 2^64 over the golden ratio spreads
	// both over the slots (Knuth, The Art of Computer Programming, 6.4).
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

// Hole reports whether n bytes at off of f, a file of size bytes, are known to lie in a hole.
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
	// One extent is asked for. Where that is an error reading will tell.
	for e, err := range src.Extents(off, size-off) {
		if err == nil && e.Offset <= off && e.End() > off {
			s.to, s.hole = e.End(), e.Kind != image.Data
		}
		break
	}
	c.spans[c.spanAt.Add(1)%spanSlots].Store(s)
	return s.hole && n <= s.to-off
}

// zeroPage returns a page of zeros, which nobody writes to.
func (c *Pages) zeroPage() []byte {
	if b := c.zeros.Load(); b != nil {
		return *b
	}
	b := make([]byte, c.Size)
	c.zeros.Store(&b)
	return b
}
