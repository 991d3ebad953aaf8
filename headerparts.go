package luksimg

import (
	"bytes"
	"fmt"
	"io"
	"slices"
)

// A HeaderPart is a run of bytes in a header.
type HeaderPart struct {
	Offset int64  `json:"offset"` // in the header, bytes
	Data   []byte `json:"data"`
}

// headerParts hold the written parts of a header. The rest of the header is zero.
type headerParts []HeaderPart

// WriteAt keeps a copy of p.
func (h *headerParts) WriteAt(p []byte, off int64) (int, error) {
	*h = append(*h, HeaderPart{off, bytes.Clone(p)})
	return len(p), nil
}

// read reads a part of the header. A later part overrides an earlier one.
func (h headerParts) read(p []byte, off int64) {
	clear(p)
	for _, part := range h {
		start, end := max(off, part.Offset), min(off+int64(len(p)), part.Offset+int64(len(part.Data)))
		if start < end {
			copy(p[start-off:end-off], part.Data[start-part.Offset:])
		}
	}
}

// zeroRun is the shortest run of zeros that compact leaves out.
const zeroRun = 512

// compact returns the parts in order, without runs of zeros.
func (h headerParts) compact() headerParts {
	var out headerParts
	for _, part := range h {
		start := 0
		for i := 0; i <= len(part.Data); i += zeroRun {
			end := min(i+zeroRun, len(part.Data))
			if i < len(part.Data) && !allZero(part.Data[i:end]) {
				continue
			}
			if start < i {
				out = append(out, HeaderPart{part.Offset + int64(start), part.Data[start:min(i, len(part.Data))]})
			}
			start = end
		}
		if start < len(part.Data) {
			out = append(out, HeaderPart{part.Offset + int64(start), part.Data[start:]})
		}
	}
	slices.SortFunc(out, func(a, b HeaderPart) int { return int(a.Offset - b.Offset) })
	return out
}

func allZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

// maxHeaderPart bounds the size of a header. The largest LUKS2 header has twice 4 MiB of text, and its
// key slots.
const maxHeaderPart = 32 << 20

// check checks that the parts are in order and end within size bytes.
func (h headerParts) check(size int64) error {
	at, total := int64(0), int64(0)
	for i, part := range h {
		n := int64(len(part.Data))
		if part.Offset < at || n == 0 || n > maxHeaderPart || part.Offset > size-n {
			return fmt.Errorf("header part %d: %d bytes at %d, in a header that ends at %d", i, n, part.Offset, size)
		}
		at, total = part.Offset+n, total+n
	}
	if total > maxHeaderPart {
		return fmt.Errorf("the header has %d bytes, at most %d are allowed", total, maxHeaderPart)
	}
	return nil
}

// A headerFile is a file that contains only a header.
type headerFile struct {
	headerParts
	size int64
}

// ReadAt implements [io.ReaderAt].
func (f headerFile) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= f.size {
		return 0, io.EOF
	}
	var end error
	if rest := f.size - off; int64(len(p)) > rest {
		p, end = p[:rest], io.EOF
	}
	f.read(p, off)
	return len(p), end
}
