// Package deflate compresses one piece of a disk at a time, as the formats of disk images
// want it: each piece by itself, into a slice that bounds what it may become.
package deflate

import (
	"errors"

	"github.com/klauspost/compress/flate"
)

// MaxWindow is how far back references of deflate may go, in bytes (RFC 1951, section 2).
const MaxWindow = 32 << 10

// A Writer compresses pieces. It is for one goroutine.
type Writer struct {
	flate *flate.Writer
	out   slice
}

// NewWriter returns a Writer whose references go back window bytes at most.
func NewWriter(window int) (*Writer, error) {
	f, err := flate.NewWriterWindow(nil, window)
	return &Writer{flate: f}, err
}

// Compress writes what src becomes in raw deflate (RFC 1951) to the start of dst. It returns
// the length, or 0 if dst has no room for all of it.
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

// A slice is written to until it is full.
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
