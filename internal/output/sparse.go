package output

import (
	"bytes"
	"io"
)

// A Sparse is a writer that leaves holes for zeros in a new file. The caller sets the length of the
// file.
type Sparse struct {
	f  io.WriterAt
	at int64
}

// NewSparse returns a writer that starts at offset 0 of f.
func NewSparse(f io.WriterAt) *Sparse { return &Sparse{f: f} }

// hole is the minimum length and the alignment of a hole, in bytes.
const hole = 64 << 10

// Write writes p except for its zeros.
func (s *Sparse) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		n := min(len(p)-done, hole-int(s.at%hole))
		b := p[done : done+n]
		if !allZero(b) {
			if _, err := s.f.WriteAt(b, s.at); err != nil {
				return done, err
			}
		}
		done += n
		s.at += int64(n)
	}
	return len(p), nil
}

var emptyHole [hole]byte

func allZero(b []byte) bool { return bytes.Equal(b, emptyHole[:len(b)]) }
