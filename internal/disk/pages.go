package disk

import (
	"bytes"
	"fmt"
	"io"
	"sync/atomic"
)

// pageSlots is how many pages a cache keeps at most.
const pageSlots = 512

// Pages reads the tables of images in pages and keeps those that were used last: of the
// megabytes that a table may have, a read needs a few bytes. A page has one place where it
// may be, so that a look-up is one atomic load; what was there before is dropped. It is safe
// for concurrent use.
type Pages struct {
	Format string // how errors call the format
	Size   int64  // of a page, in bytes: a power of two
	slots  [pageSlots]atomic.Pointer[Page]
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
	// Pages that are used one after the other are next to each other in most files: they
	// have different slots.
	slot := &c.slots[uint64(start/c.Size)%pageSlots]
	if p := slot.Load(); p != nil && p.Off == start && p.f == f {
		return p, nil
	}
	p := &Page{f: f, Off: start, B: make([]byte, min(c.Size, size-start))}
	if _, err := ReadFull(c.Format, f.R, p.B, start); err != nil {
		return nil, err
	}
	p.Zero = len(bytes.TrimLeft(p.B, "\x00")) == 0
	slot.Store(p)
	return p, nil
}
