package summed

import (
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/luksimg/luksimg/image"
)

const (
	smallBlock = 64 << 10
	maxBlocks  = 4 << 20 // 64 MiB of marks: blocks are larger in files of more than 256 GiB
	maxCached  = 4 << 20 // bytes of blocks, but two blocks at least
)

// marks keep of each block of a file what it was when it was first read: 16 bytes of its SHA-256. They
// are safe for concurrent use.
type marks struct {
	block int64 // length in bytes
	mu    sync.Mutex
	all   [][16]byte // zeros: not read yet
}

func newMarks(size int64) *marks {
	m := &marks{block: smallBlock}
	for size/m.block >= maxBlocks {
		m.block *= 2
	}
	m.all = make([][16]byte, (size+m.block-1)/m.block)
	return m
}

// check compares a block with what it was, or keeps what it is.
func (m *marks) check(p []byte, i int64) error {
	sum := sha256.Sum256(p)
	mark := [16]byte(sum[:])
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all[i] == ([16]byte{}) {
		m.all[i] = mark
	}
	if m.all[i] != mark {
		return fmt.Errorf("%w: bytes %d to %d were read again, and are not what they were", image.ErrChanged, i*m.block, i*m.block+int64(len(p)))
	}
	return nil
}

// A steady file gives the same bytes whenever they are read, or an error that matches
// [image.ErrChanged]: what was hashed is what is used. It reads whole blocks, and keeps a few of those
// that were read in part.
type steady struct {
	image.Source
	marks *marks

	mu     sync.Mutex
	cached []cachedBlock // the one that was used last is in front
}

type cachedBlock struct {
	index int64
	b     []byte
}

// ReadAt reads from the file; see [io.ReaderAt].
func (s *steady) ReadAt(p []byte, off int64) (int, error) {
	size, block := s.Size(), s.marks.block
	if off < 0 {
		return s.Source.ReadAt(p, off) // which says what is wrong
	}
	done := 0
	for done < len(p) && off < size {
		var n int
		var err error
		start, left := off%block, min(int64(len(p)-done), size-off)
		if whole := left - left%block; start == 0 && (whole > 0 || off+left == size) {
			if off+left == size {
				whole = left // the last block may be short
			}
			n, err = s.whole(p[done:][:whole], off)
		} else {
			var b []byte
			if b, err = s.part(off / block); err == nil {
				n = copy(p[done:], b[start:])
			}
		}
		done += n
		off += int64(n)
		if err != nil {
			return done, err
		}
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// whole reads whole blocks. Of those that it returns as read, all were compared.
func (s *steady) whole(p []byte, off int64) (int, error) {
	n, err := image.ReadFull(s.Source, p, off)
	block := int(s.marks.block)
	if n < len(p) {
		n -= n % block
	}
	for i := 0; i < n; i += block {
		if err := s.marks.check(p[i:min(i+block, n)], (off+int64(i))/s.marks.block); err != nil {
			return i, err
		}
	}
	return n, err
}

// part returns a block of which a part is read. The caller does not change it.
func (s *steady) part(index int64) ([]byte, error) {
	s.mu.Lock()
	if i := slices.IndexFunc(s.cached, func(c cachedBlock) bool { return c.index == index }); i >= 0 {
		c := s.cached[i]
		copy(s.cached[1:i+1], s.cached[:i])
		s.cached[0] = c
		s.mu.Unlock()
		return c.b, nil
	}
	s.mu.Unlock()
	off := index * s.marks.block
	b := make([]byte, min(s.marks.block, s.Size()-off))
	if _, err := s.whole(b, off); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if most := max(maxCached/int(s.marks.block), 2); len(s.cached) >= most {
		s.cached = s.cached[:most-1]
	}
	s.cached = slices.Insert(s.cached, 0, cachedBlock{index, b})
	return b, nil
}
