package summed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// counting counts the bytes that are read, and fails at one offset.
type counting struct {
	image.Source
	read atomic.Int64
	fail int64 // -1 means never
}

var errRead = errors.New("bad sector")

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	if c.fail >= 0 && off <= c.fail && c.fail < off+int64(len(p)) {
		return 0, errRead
	}
	n, err := c.Source.ReadAt(p, off)
	c.read.Add(int64(n))
	return n, err
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

func newSource(b []byte) (*Source, *counting) {
	c := &counting{Source: bytes.NewReader(b), fail: -1}
	return New(c, sha256.New()), c
}

func checkSum(t *testing.T, s *Source, b []byte) {
	t.Helper()
	want := sha256.Sum256(b)
	if got, err := s.Sum(context.Background()); err != nil || !bytes.Equal(got, want[:]) {
		t.Errorf("the sum is %x, %v; want %x", got, err, want)
	}
}

// TestOnePass reads a file in the ways of its readers, and checks how much was read twice.
func TestOnePass(t *testing.T) {
	b := random(40 << 20)
	size := int64(len(b))
	const piece = 1 << 20
	tests := map[string]struct {
		read func(t *testing.T, s *Source)
		most int64 // maximal number of bytes read
	}{
		"in order": {func(t *testing.T, s *Source) {
			if n, err := io.Copy(io.Discard, io.NewSectionReader(s, 0, size)); err != nil || n != size {
				t.Fatal(n, err)
			}
		}, size},
		"not at all": {func(*testing.T, *Source) {}, size},
		"in turns": {func(t *testing.T, s *Source) { // two workers, the second one first
			p := make([]byte, piece)
			for off := int64(0); off < size; off += 2 * piece {
				for _, at := range []int64{off + piece, off} {
					if _, err := s.ReadAt(p, at); err != nil {
						t.Fatal(err)
					}
				}
			}
		}, size},
		"all but the padding": {func(t *testing.T, s *Source) { // like the grains of a VMDK
			p := make([]byte, 60_000)
			for off := int64(0); off < size; off += 60_416 {
				s.ReadAt(p[:min(int64(len(p)), size-off)], off)
			}
		}, size},
		"twice": {func(t *testing.T, s *Source) {
			p := make([]byte, 3*piece)
			for off := int64(0); off+3*piece <= size; off += piece {
				if _, err := s.ReadAt(p, off); err != nil {
					t.Fatal(err)
				}
			}
		}, 3 * size},
		"backwards": {func(t *testing.T, s *Source) {
			p := make([]byte, piece)
			for off := size - piece; off >= 0; off -= piece {
				if _, err := s.ReadAt(p, off); err != nil {
					t.Fatal(err)
				}
			}
		}, 2 * size},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, c := newSource(b)
			test.read(t, s)
			if len(s.held) > 0 && s.room < 0 || s.room > maxHeld {
				t.Errorf("there is room for %d bytes", s.room)
			}
			checkSum(t, s, b)
			if n := c.read.Load(); n > test.most {
				t.Errorf("%d bytes were read, want at most %d", n, test.most)
			}
		})
	}
}

func TestConcurrent(t *testing.T) {
	b := random(24<<20 + 123)
	for round := range uint64(4) {
		s, c := newSource(b)
		var next atomic.Int64
		var wg sync.WaitGroup
		for g := range uint64(4) {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(round, g))
				for {
					n := 1 + r.Int64N(700_000)
					off := next.Add(n) - n
					if off >= int64(len(b)) {
						return
					}
					p := make([]byte, min(n, int64(len(b))-off))
					if _, err := s.ReadAt(p, off); err != nil || !bytes.Equal(p, b[off:off+int64(len(p))]) {
						t.Errorf("%d bytes at %d: %v", n, off, err)
					}
				}
			})
		}
		wg.Wait()
		checkSum(t, s, b)
		if n := c.read.Load(); n > int64(len(b))*5/4 {
			t.Errorf("%d bytes were read for a file of %d", n, len(b))
		}
	}
}

func TestSource(t *testing.T) {
	b := random(1<<20 + 3)
	s, _ := newSource(b)
	imagetest.Source(t, s, b)
	checkSum(t, s, b)
	s, _ = newSource(nil)
	checkSum(t, s, nil)
}

// TestFails uses a source with an unreadable place. A read there and Sum must fail.
func TestFails(t *testing.T) {
	s, c := newSource(random(3 << 20))
	c.fail = 1 << 20
	p := make([]byte, 1<<19)
	for off := int64(0); off < 3<<20; off += 1 << 19 {
		if _, err := s.ReadAt(p, off); (err != nil) != (off == 1<<20) {
			t.Errorf("at %d: %v", off, err)
		}
	}
	if _, err := s.Sum(context.Background()); !errors.Is(err, errRead) {
		t.Errorf("the sum: %v", err)
	}
	s, _ = newSource(random(1000))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Sum(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
