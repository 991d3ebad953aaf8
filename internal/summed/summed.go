// Package summed computes the digest of a file while others read the file, in any order and from
// several goroutines. So a checksum needs no additional pass.
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
	maxHeld  = 8 << 20  // bytes that wait for earlier bytes
	smallGap = 64 << 10 // a gap of at most this many bytes is read at once
	chunk    = 1 << 20
)

// A Source is a file that is hashed while it is read. Bytes that are read roughly in order are hashed
// from the reader's buffer. Sum reads the other bytes: those that nobody has read, and those read too
// far ahead to be kept.
//
// Bytes that are read again, for the hash or by a reader, are compared with the first read. If they
// differ, the error matches [image.ErrChanged]. So the bytes that were used are those that were hashed.
//
// A Source needs up to 12 MiB of memory, and 16 bytes for each 64 KiB of the file, at most 64 MiB. It
// is safe for concurrent use.
type Source struct {
	src *steady

	mu   sync.Mutex
	idle sync.Cond // signals that busy has ended, or that there is room
	busy bool      // one goroutine hashes; only it uses hash and changes next
	hash hash.Hash
	next int64  // all bytes before it are hashed
	held []held // in order of offset
	room int    // bytes that can still be held
}

// A held run of bytes was read before the bytes in front of it were hashed.
type held struct {
	off int64
	b   []byte
}

func (h held) end() int64 { return h.off + int64(len(h.b)) }

// New returns src as a Source that hashes with h.
func New(src image.Source, h hash.Hash) *Source {
	s := &Source{src: &steady{Source: src, marks: newMarks(src.Size())}, hash: h, room: maxHeld}
	s.idle.L = &s.mu
	return s
}

// Again returns src, another opening of the same file, with the same comparison of bytes. If it has
// another size, the error matches [image.ErrChanged].
func (s *Source) Again(src image.Source) (image.Source, error) {
	if src.Size() != s.Size() {
		return nil, fmt.Errorf("%w: it has %d bytes, it had %d", image.ErrChanged, src.Size(), s.Size())
	}
	return &Source{src: &steady{Source: src, marks: s.src.marks}, next: s.Size()}, nil
}

// Size returns the length of the file in bytes.
func (s *Source) Size() int64 { return s.src.Size() }

// Extents implements [image.Extenter].
func (s *Source) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return image.Extents(s.src.Source, off, n)
}

// Group implements [image.Grouper] as far as the file supports it.
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

// saw hashes bytes that were read, or holds them until those before them are hashed.
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

// add hashes the bytes at next. The caller holds the lock and has set busy; add releases the lock
// meanwhile.
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

// drain hashes the held bytes that continue at next, and then clears busy. It reads a small gap, or any
// gap if little room is left.
func (s *Source) drain() {
	for len(s.held) > 0 {
		h := s.held[0]
		if gap := h.off - s.next; gap > 0 {
			if gap > smallGap && s.room > maxHeld/2 || !s.fill(min(gap, chunk)) {
				break
			}
			continue // another run can be first now
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

// fill reads n bytes at next and hashes them. It reports success.
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

// Left returns the number of bytes that [Source.Sum] has yet to hash.
func (s *Source) Left() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Size() - s.next
}

// Sum returns the digest of the whole file. It reads the bytes that were not hashed yet. Later reads
// are not hashed but compared with the first ones.
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
