// Package summed computes the digest of a file while something else reads the file, in any order
// and from several goroutines, so that a checksum costs no pass of its own.
package summed

import (
	"context"
	"fmt"
	"hash"
	"iter"
	"slices"
	"sync"

	"github.com/luksimg/luksimg/image"
)

const (
	maxHeld  = 8 << 20  // bytes that wait for what is before them
	smallGap = 64 << 10 // bytes that are read at once, rather than waited for
	chunk    = 1 << 20
)

// A Source is a file that is hashed as it is read. What is read in order, or nearly so, is hashed
// from the reader's own buffer. What nobody reads, and what was read too far ahead to be kept, is
// read again. What is read again, for the hash or by whoever, is compared with what it was: another
// answer is an error that matches [image.ErrChanged], so that what was hashed is what was used. It takes
// up to 12 MiB, and 16 bytes for each 64 KiB of the file, 64 MiB at most. It is safe for concurrent use.
type Source struct {
	src *steady

	mu   sync.Mutex
	idle sync.Cond // busy has ended, or there is room again
	busy bool      // somebody hashes, and alone uses hash and moves next
	hash hash.Hash
	next int64  // all bytes before it are hashed
	held []held // by their offsets
	room int    // bytes that may be held yet
}

// A held run of bytes was read before what is in front of it.
type held struct {
	off int64
	b   []byte
}

func (h held) end() int64 { return h.off + int64(len(h.b)) }

// New returns src so that it is hashed by h as it is read.
func New(src image.Source, h hash.Hash) *Source {
	s := &Source{src: &steady{Source: src, marks: newMarks(src.Size())}, hash: h, room: maxHeld}
	s.idle.L = &s.mu
	return s
}

// Again returns another file, which was opened in place of the first, so that it is compared with what
// was read of that. It is of the same size.
func (s *Source) Again(src image.Source) (image.Source, error) {
	if src.Size() != s.Size() {
		return nil, fmt.Errorf("%w: it has %d bytes, and had %d", image.ErrChanged, src.Size(), s.Size())
	}
	return &Source{src: &steady{Source: src, marks: s.src.marks}, next: s.Size()}, nil
}

// Size returns the length of the file in bytes.
func (s *Source) Size() int64 { return s.src.Size() }

// Extents implements [image.Extenter].
func (s *Source) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return image.Extents(s.src.Source, off, n)
}

// Group implements [image.Grouper], as far as the file tells.
func (s *Source) Group(off int64) (start, end int64) {
	start, end, _ = image.Group(s.src.Source, off)
	return start, end
}

// ReadAt reads from the file; see [io.ReaderAt].
func (s *Source) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.src.ReadAt(p, off)
	if n > 0 {
		s.saw(p[:n], off)
	}
	return n, err
}

// saw hashes what was read, or holds it until what is before it is hashed.
func (s *Source) saw(p []byte, off int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.busy && len(p) > s.room && off+int64(len(p)) > s.next {
		s.idle.Wait()
	}
	switch {
	case off+int64(len(p)) <= s.next:
		return
	case !s.busy && off <= s.next:
		s.busy = true
		s.add(p[s.next-off:])
		s.drain()
	case len(p) <= s.room:
		s.hold(p, off)
		if !s.busy {
			s.busy = true
			s.drain()
		}
	}
}

// add hashes the bytes at next. The caller has the lock, which is free meanwhile, and is busy.
func (s *Source) add(p []byte) {
	s.mu.Unlock()
	s.hash.Write(p)
	s.mu.Lock()
	s.next += int64(len(p))
}

// hold keeps a copy of p.
func (s *Source) hold(p []byte, off int64) {
	i, _ := slices.BinarySearchFunc(s.held, off, func(h held, off int64) int { return int(min(max(h.off-off, -1), 1)) })
	s.held = slices.Insert(s.held, i, held{off, slices.Clone(p)})
	s.room -= len(p)
}

// drain hashes what is held, as far as it goes on where the hash is, and ends being busy. A small
// gap is read, and one of any length when there is little room left.
func (s *Source) drain() {
	for len(s.held) > 0 {
		h := s.held[0]
		if gap := h.off - s.next; gap > 0 {
			if gap > smallGap && s.room > maxHeld/2 || !s.fill(min(gap, chunk)) {
				break
			}
			continue // another one may be the first now
		}
		s.held = slices.Delete(s.held, 0, 1)
		if h.end() > s.next {
			s.add(h.b[s.next-h.off:])
		}
		s.room += len(h.b)
		s.idle.Broadcast()
	}
	s.busy = false
	s.idle.Broadcast()
}

// fill reads n bytes at next and hashes them. It tells whether that went well.
func (s *Source) fill(n int64) bool {
	p := make([]byte, n)
	s.mu.Unlock()
	_, err := image.ReadFull(s.src, p, s.next)
	s.mu.Lock()
	if err == nil {
		s.add(p)
	}
	return err == nil
}

// Left returns how many bytes [Source.Sum] has yet to hash.
func (s *Source) Left() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Size() - s.next
}

// Sum returns the digest of the whole file. It reads what was not read before. What is read
// after it is not hashed, but compared with what was.
func (s *Source) Sum(ctx context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.busy {
		s.idle.Wait()
	}
	buf := make([]byte, min(chunk, s.Size()))
	for s.next < s.Size() {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var p []byte
		if len(s.held) > 0 && s.held[0].off <= s.next {
			h := s.held[0]
			s.held = slices.Delete(s.held, 0, 1)
			p = h.b[min(s.next-h.off, int64(len(h.b))):]
		} else {
			n := min(int64(len(buf)), s.Size()-s.next)
			if len(s.held) > 0 {
				n = min(n, s.held[0].off-s.next)
			}
			p = buf[:n]
			if _, err := image.ReadFull(s.src, p, s.next); err != nil {
				return nil, err
			}
		}
		s.hash.Write(p)
		s.next += int64(len(p))
	}
	return s.hash.Sum(nil), nil
}
