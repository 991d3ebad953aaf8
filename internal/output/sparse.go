package output

import (
	"bytes"
	"io"
)

// A Sparse is a writer that leaves holes in a new file where there are zeros. The length of the file
// is for the caller to set.
type Sparse struct {
	f  io.WriterAt
	at int64
}

// NewSparse returns a writer of f, from its start.
func NewSparse(f io.WriterAt) *Sparse { return &Sparse{f: f} }

// hole is the least run of zeros that is left out, and its alignment.
const hole = 64 << 10

// Write writes what is not zero.
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
