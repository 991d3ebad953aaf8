package image

import (
	"io"
	"iter"
)

// Zeros is a disk of that many zero bytes. It is one hole.
type Zeros int64

// Size returns z, in bytes.
func (z Zeros) Size() int64 { return int64(z) }

// ReadAt fills p with zeros; see [io.ReaderAt].
func (z Zeros) ReadAt(p []byte, off int64) (int, error) {
	n := max(0, min(int64(len(p)), int64(z)-off))
	clear(p[:n])
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// Extents yields one hole.
func (z Zeros) Extents(off, n int64) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		yield(Extent{Offset: off, Length: n, Kind: Hole}, nil)
	}
}
