package vhd

import (
	"io"
	"iter"

	"github.com/luksimg/luksimg/image"
)

// sparse is a large file of one repeated byte with some parts written.
type sparse struct {
	size  int64
	parts map[int64][]byte
	byte  byte
}

func newSparse(size int64, parts map[int64][]byte) *sparse {
	return &sparse{size: size, parts: parts}
}

func (s *sparse) put(off int64, b []byte) { s.parts[off] = b }

func (s *sparse) ReadAt(p []byte, off int64) (int, error) {
	n := min(int64(len(p)), s.size-off)
	for i := range p[:n] {
		p[i] = s.byte
	}
	for at, b := range s.parts {
		from, to := max(at, off), min(at+int64(len(b)), off+n)
		if from < to {
			copy(p[from-off:to-off], b[from-at:])
		}
	}
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// holey is a raw file that reports holes: every second KiB.
type holey struct{ io.ReaderAt }

func (h holey) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		// It yields whole extents, which reach beyond the requested range.
		for at := off &^ 1023; at < off+n; at += 1024 {
			kind := image.Data
			if at&1024 != 0 {
				kind = image.Hole
			}
			if !yield(image.Extent{Offset: at, Length: 1024, Kind: kind}, nil) {
				return
			}
		}
	}
}

// stingy returns a few bytes at a time, and io.EOF together with the last ones.
type stingy struct {
	b []byte
	n int
}

func (s stingy) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p[:min(len(p), s.n)], s.b[min(off, int64(len(s.b))):])
	if off+int64(n) >= int64(len(s.b)) {
		return n, io.EOF
	}
	return n, nil
}

// counted is a parent that counts the calls of Extents.
type counted struct {
	holey
	size  int64
	asked *int
}

func (c counted) Size() int64 { return c.size }

func (c counted) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	*c.asked++
	return c.holey.Extents(off, n)
}
