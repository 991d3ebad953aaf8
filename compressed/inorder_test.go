package compressed

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
)

// TestInOrder reads a disk from several goroutines, as a job does, and then again from the start.
func TestInOrder(t *testing.T) {
	want := make([]byte, 7*chunkSize+12345)
	for i := range want {
		want[i] = byte(i >> 8 * 31)
	}
	s := newInOrder(int64(len(want)), 4, func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(want)), nil
	})
	defer s.Close()
	got := make([]byte, len(want))
	for pass := range 2 {
		clear(got)
		var next atomic.Int64
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				const piece = 100_000
				for off := next.Add(piece) - piece; off < int64(len(want)); off = next.Add(piece) - piece {
					p := got[off:min(off+piece, int64(len(got)))]
					if n, err := s.ReadAt(p, off); n < len(p) || err != nil && err != io.EOF {
						t.Errorf("%d bytes at %d: %v", n, off, err)
					}
				}
			})
		}
		wg.Wait()
		if !bytes.Equal(got, want) {
			t.Fatal("the bytes differ")
		}
		if n := s.Starts(); n > 4*(pass+1) { // more than one if a worker waited for the CPU
			t.Errorf("pass %d: the reader was started %d times", pass, n)
		}
	}
	// A read far ahead waits for its chunk.
	if n, err := s.ReadAt(got[:10], int64(len(want))-10); n != 10 || err != nil || !bytes.Equal(got[:10], want[len(want)-10:]) {
		t.Errorf("the end: %d, %v", n, err)
	}
}

// TestInOrderLength uses readers that return more or fewer bytes than expected, or fail.
func TestInOrderLength(t *testing.T) {
	fails := errors.New("it fails")
	for _, c := range []struct {
		given int
		err   error
		check error
		want  error
	}{
		{chunkSize + 5, nil, nil, nil},
		{chunkSize + 4, nil, nil, ErrCorrupt},
		{0, nil, nil, ErrCorrupt},
		{chunkSize + 6, nil, nil, ErrCorrupt},
		{chunkSize + 5, fails, nil, fails}, // a checksum
		{100, fails, nil, fails},
		{chunkSize + 5, nil, fails, fails},
	} {
		s := NewInOrder(chunkSize+5, func(context.Context) (io.ReadCloser, error) {
			r := io.Reader(bytes.NewReader(make([]byte, c.given)))
			if c.err != nil {
				r = io.MultiReader(r, errReader{c.err})
			}
			return io.NopCloser(r), nil
		})
		s.Check = func([]byte) error { return c.check }
		if _, err := io.ReadAll(io.NewSectionReader(s, 0, s.Size())); !errors.Is(err, c.want) {
			t.Errorf("%d bytes, %v: %v, want %v", c.given, c.err, err, c.want)
		}
		s.Close()
		if _, err := s.ReadAt(make([]byte, 1), 0); err == nil {
			t.Error("a read after Close succeeded")
		}
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }
