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
	maxBlocks  = 4 << 20 // 64 MiB of marks; files of more than 256 GiB have larger blocks
	maxCached  = 4 << 20 // bytes of cached blocks, but at least two blocks
)

// marks keep 16 bytes of the SHA-256 of each block of a file, from the first read. They are safe for
// concurrent use.
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

// check compares a block with its mark, or sets the mark.
func (m *marks) check(p []byte, i int64) error {
	sum := sha256.Sum256(p)
	mark := [16]byte(sum[:])
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all[i] == ([16]byte{}) {
		m.all[i] = mark
	}
	if m.all[i] != mark {
		return fmt.Errorf("%w: bytes %d to %d were read again and differ", image.ErrChanged, i*m.block, i*m.block+int64(len(p)))
	}
	return nil
}

// A steady file returns the same bytes at each read, or an error that matches [image.ErrChanged]. So
// the bytes that are used are those that were hashed. It reads whole blocks and caches some blocks that
// were read partially.
type steady struct {
	image.Source
	marks *marks

	mu     sync.Mutex
	cached []cachedBlock // most recently used first
}

type cachedBlock struct {
	index int64
	b     []byte
}

// ReadAt reads from the file; see [io.ReaderAt].
func (s *steady) ReadAt(p []byte, off int64) (int, error) {
	size, block := s.Size(), s.marks.block
	if off < 0 {
		return s.Source.ReadAt(p, off) // the source returns the error
	}
	done := 0
	for done < len(p) && off < size {
		var n int
		var err error
		start, left := off%block, min(int64(len(p)-done), size-off)
		if whole := left - left%block; start == 0 && (whole > 0 || off+left == size) {
			if off+left == size {
				whole = left // the last block can be short
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

// whole reads whole blocks. All blocks that it returns were compared.
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

// part returns the block with the given index for a partial read. The caller must not change it.
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
