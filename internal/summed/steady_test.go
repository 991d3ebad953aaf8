package summed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// fickle changes one byte after a number of reads.
type fickle struct {
	image.Source
	at    int64
	good  int64 // number of reads before the change
	times atomic.Int64
}

func (f *fickle) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.Source.ReadAt(p, off)
	if off <= f.at && f.at < off+int64(n) && f.times.Add(1) > f.good {
		p[f.at-off] ^= 1
	}
	return n, err
}

// TestFickle reads a file with a byte that changes. Either a reader must get an error, or Sum must fail. If
// the digest is right, all readers got the same bytes.
func TestFickle(t *testing.T) {
	b := random(12<<20 + 77)
	size := int64(len(b))
	for name, read := range map[string]func(s *Source, at int64) error{
		"before the sum": func(s *Source, at int64) error { // too far ahead to be cached
			for off := size - size%smallBlock; off >= 0; off -= 1 << 20 {
				if _, err := s.ReadAt(make([]byte, min(1<<20, size-off)), off); err != nil && err != io.EOF {
					return err
				}
			}
			_, err := s.Sum(context.Background())
			return err
		},
		"one byte before the sum": func(s *Source, at int64) error {
			if _, err := s.ReadAt(make([]byte, 1), at); err != nil {
				return err
			}
			for n := int64(1); n < 80; n++ { // so that its block leaves the cache
				s.ReadAt(make([]byte, 1), (at+n*smallBlock)%size)
			}
			_, err := s.Sum(context.Background())
			return err
		},
		"after the sum": func(s *Source, at int64) error {
			if _, err := s.Sum(context.Background()); err != nil {
				return err
			}
			_, err := s.ReadAt(make([]byte, 1), at)
			return err
		},
		"near it, after the sum": func(s *Source, at int64) error {
			if _, err := s.Sum(context.Background()); err != nil {
				return err
			}
			_, err := s.ReadAt(make([]byte, 3<<20), at-at%smallBlock-min(at-at%smallBlock, 1<<20+5))
			return err
		},
		"in another file, after the sum": func(s *Source, at int64) error {
			if _, err := s.Sum(context.Background()); err != nil {
				return err
			}
			again, err := s.Again(s.src.Source)
			if err == nil {
				_, err = image.ReadFull(again, make([]byte, size), 0)
			}
			return err
		},
	} {
		for _, at := range []int64{0, 3<<20 + 3, size - 1} {
			if at == size-1 && name == "before the sum" || at == 0 && name == "one byte before the sum" {
				continue // the byte is hashed or cached, and not read again
			}
			f := &fickle{Source: bytes.NewReader(b), at: at, good: 1}
			err := read(New(f, sha256.New()), at)
			if f.times.Load() < 2 {
				t.Errorf("%s, at %d: the byte was read only %d times, so the change had no effect", name, at, f.times.Load())
			}
			if err == io.EOF {
				err = nil
			}
			if !errors.Is(err, image.ErrChanged) || !strings.Contains(err.Error(), "were read again") {
				t.Errorf("%s, at %d: %v, want ErrChanged", name, at, err)
			}
			f = &fickle{Source: bytes.NewReader(b), at: at, good: 1 << 30}
			if err := read(New(f, sha256.New()), at); err != nil && err != io.EOF {
				t.Errorf("%s, at %d, in an unchanged file: %v", name, at, err)
			}
		}
	}
}

// TestFickleConcurrent reads a block that changes at each read from several goroutines. Only one
// content can be accepted.
func TestFickleConcurrent(t *testing.T) {
	f := &fickle{Source: bytes.NewReader(make([]byte, smallBlock)), good: 1}
	s := New(f, sha256.New())
	var right atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			p := make([]byte, smallBlock)
			if _, err := s.ReadAt(p, 0); err == nil {
				right.Add(1)
			} else if !errors.Is(err, image.ErrChanged) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := right.Load(); n != 1 && n != 7 { // the first reader, or all others if one of them was compared before it
		t.Errorf("%d of 8 readers succeeded", n)
	}
}

// TestPartsAreCached reads a file in small pieces, which must read each byte only once.
func TestPartsAreCached(t *testing.T) {
	b := random(3<<20 + 100)
	s, c := newSource(b)
	got, err := io.ReadAll(io.NewSectionReader(s, 0, s.Size()))
	if err != nil || !bytes.Equal(got, b) {
		t.Fatal(len(got), err)
	}
	for off := 0; off+512 <= len(b); off += 512 {
		p := make([]byte, 300)
		if _, err := s.ReadAt(p, int64(off)); err != nil || !bytes.Equal(p, b[off:off+300]) {
			t.Fatal(off, err)
		}
	}
	if n := c.read.Load(); n > 2*int64(len(b)) {
		t.Errorf("%d bytes were read for a file of %d", n, len(b))
	}
}

// TestMarks checks that the marks have a bounded size for files of any size.
func TestMarks(t *testing.T) {
	for size, block := range map[int64]int64{0: smallBlock, 1: smallBlock, 200 << 30: smallBlock, 10 << 40: 4 << 20} {
		m := newMarks(size)
		if m.block != block || len(m.all) > maxBlocks || int64(len(m.all)) != (size+block-1)/block {
			t.Errorf("%d bytes: %d blocks of %d", size, len(m.all), m.block)
		}
	}
}

func TestAgain(t *testing.T) {
	s, _ := newSource(random(1000))
	if _, err := s.Again(bytes.NewReader(make([]byte, 1001))); !errors.Is(err, image.ErrChanged) {
		t.Errorf("another size: %v", err)
	}
}
