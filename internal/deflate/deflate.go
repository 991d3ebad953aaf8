// Package deflate compresses the pieces of a disk image one by one, as image formats need it: each
// piece separately, into a slice that limits its compressed size.
package deflate

import (
	"errors"

	"github.com/klauspost/compress/flate"
)

// MaxWindow is the maximum distance of back references, in bytes (RFC 1951, section 2).
const MaxWindow = 32 << 10

// A Writer compresses pieces. It is not safe for concurrent use.
type Writer struct {
	flate *flate.Writer
	out   slice
}

// NewWriter returns a Writer whose back references reach at most window bytes, or an error if window is
// more than MaxWindow.
func NewWriter(window int) (*Writer, error) {
	f, err := flate.NewWriterWindow(nil, window)
	return &Writer{flate: f}, err
}

// Compress writes src as raw deflate data (RFC 1951) to the start of dst. It returns the compressed
// length, or 0 if dst is too short.
func (w *Writer) Compress(dst, src []byte) int {
	w.out = slice{b: dst}
	w.flate.Reset(&w.out)
	if _, err := w.flate.Write(src); err != nil {
		return 0
	}
	if w.flate.Close() != nil {
		return 0
	}
	return w.out.n
}

// A slice is a Writer that fails when it is full.
type slice struct {
	b []byte
	n int
}

var errFull = errors.New("no room left")

func (s *slice) Write(p []byte) (int, error) {
	n := copy(s.b[s.n:], p)
	s.n += n
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}
