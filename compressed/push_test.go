package compressed

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	klauspost "github.com/klauspost/compress/zstd"

	"github.com/luksimg/luksimg/image"
)

// pushed returns the output of a Pusher. It reports parts that are misaligned, duplicate or missing.
func pushed(t *testing.T, p image.Pusher) ([]byte, error) {
	t.Helper()
	got := make([]byte, p.Size())
	var mu sync.Mutex
	total := 0
	err := p.Push(t.Context(), 3, func(b []byte, off int64) error {
		mu.Lock()
		defer mu.Unlock()
		if off%image.PushUnit != 0 || len(b)%image.PushUnit != 0 && off+int64(len(b)) != p.Size() {
			t.Errorf("%d bytes at %d", len(b), off)
		}
		total += copy(got[off:], b)
		return nil
	})
	if err == nil && total != len(got) {
		t.Errorf("%d bytes of %d were pushed", total, len(got))
	}
	return got, err
}

// framed compresses each piece of b as a separate frame.
func framed(t *testing.T, b []byte, piece int) []byte {
	t.Helper()
	e, err := klauspost.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for ; len(b) > piece; b = b[piece:] {
		all = e.EncodeAll(b[:piece], all)
	}
	return e.EncodeAll(b, all)
}

func TestPush(t *testing.T) {
	want := make([]byte, 5*chunkSize+12345)
	rnd := rand.NewChaCha8([32]byte{1})
	rnd.Read(want[:2*chunkSize])
	for _, c := range []struct {
		name  string
		piece int
		units bool // units are pushed by several workers
	}{
		{"one frame", len(want), false},
		{"long frames", 2 * chunkSize, true},
		{"short frames", 64 << 10, true},
		{"frames at odd places", 1<<20 + 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			z := framed(t, want, c.piece)
			open := func(z []byte) (image.Source, func()) {
				f, err := Open(t.Context(), bytes.NewReader(z), int64(len(z)), Options{})
				if err != nil {
					t.Fatal(err)
				}
				src, err := f.Source()
				if err != nil {
					t.Fatal(err)
				}
				return src, func() {
					if s, ok := src.(*InOrder); ok {
						s.Close()
					}
					f.Close()
				}
			}
			src, done := open(z)
			defer done()
			p, ok := image.AsPusher(src)
			if _, one := src.(*InOrder); ok != (one || c.units) {
				t.Fatalf("pushes: %t", ok)
			}
			if !ok {
				return
			}
			for range 2 {
				if got, err := pushed(t, p); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%v; the right bytes: %t", err, bytes.Equal(got, want))
				}
			}
			stop := errors.New("stop")
			if err := p.Push(t.Context(), 2, func([]byte, int64) error { return stop }); err != stop {
				t.Errorf("the error of a worker: %v", err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			if err := p.Push(ctx, 2, func([]byte, int64) error { cancel(stop); return nil }); err != stop {
				t.Errorf("after the end of the context: %v", err)
			}
			// The checksum of a frame detects a changed byte.
			bad := bytes.Clone(z)
			bad[chunkSize] ^= 1
			broken, done := open(bad)
			defer done()
			if _, err := pushed(t, broken.(image.Pusher)); !errors.Is(err, ErrCorrupt) {
				t.Errorf("a changed byte: %v", err)
			}
		})
	}
}

// TestPushLength uses readers that return more or fewer bytes than expected.
func TestPushLength(t *testing.T) {
	for _, n := range []int{0, chunkSize + 4, chunkSize + 5, chunkSize + 6, 3 * chunkSize} {
		s := NewInOrder(chunkSize+5, func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(make([]byte, n))), nil
		})
		if _, err := pushed(t, s); (err == nil) != (n == chunkSize+5) || err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d bytes: %v", n, err)
		}
		s.Close()
		if _, err := pushed(t, s); err == nil {
			t.Error("Push continued after Close")
		}
	}
}
