package luks_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/luksimg/luksimg/luks"
)

// A shared is a file in memory that many goroutines can read and write.
type shared struct {
	mu sync.RWMutex
	b  []byte
}

func (s *shared) ReadAt(p []byte, off int64) (int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return bytes.NewReader(s.b).ReadAt(p, off)
}

func (s *shared) WriteAt(p []byte, off int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if off+int64(len(p)) > int64(len(s.b)) {
		return 0, io.ErrShortWrite
	}
	return copy(s.b[off:], p), nil
}

func (s *shared) Sync() error { return nil }

func format(t testing.TB, size int, o luks.Options) (*luks.Volume, *shared) {
	t.Helper()
	f := &shared{b: random(9, size)} // the old content
	o.KDF = cheap
	v, err := luks.Format(t.Context(), f, int64(size), passphrase, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v, f
}

func TestWriteAt(t *testing.T) {
	for _, sector := range []int{512, 4096} {
		v, f := format(t, 2<<20, luks.Options{SectorSize: sector, DataOffset: 1 << 20})
		want := make([]byte, v.Size())
		if _, err := v.WriteAt(want, 0); err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(1, 1))
		for range 500 {
			off := r.IntN(len(want))
			p := random(r.Uint64(), r.IntN(min(len(want)-off, 100_000)+1))
			before := bytes.Clone(p)
			if n, err := v.WriteAt(p, int64(off)); n != len(p) || err != nil {
				t.Fatalf("WriteAt(%d bytes, %d): %d, %v", len(p), off, n, err)
			}
			if !bytes.Equal(p, before) {
				t.Fatal("WriteAt changed its argument")
			}
			copy(want[off:], p)
		}
		got := make([]byte, v.Size())
		if _, err := unlock(t, f.b).ReadAt(got, 0); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("sectors of %d: wrong content", sector)
		}
		for _, c := range []struct {
			off int64
			n   int
		}{{-1, 1}, {v.Size(), 1}, {v.Size() - 5, 6}, {1 << 62, 1}} {
			if n, err := v.WriteAt(make([]byte, c.n), c.off); n != 0 || err == nil {
				t.Errorf("WriteAt(%d bytes, %d): %d, %v", c.n, c.off, n, err)
			}
		}
		if n, err := v.WriteAt(nil, v.Size()); n != 0 || err != nil {
			t.Errorf("WriteAt of nothing at the end: %d, %v", n, err)
		}
	}
	v := unlock(t, write(t, random(1, 512), luks.Options{KDF: cheap}))
	if _, err := v.WriteAt([]byte{1}, 0); !errors.Is(err, luks.ErrReadOnly) {
		t.Errorf("WriteAt to a reader: %v", err)
	}
}

// TestConcurrent lets 32 goroutines read and write ranges that share sectors but no bytes.
func TestConcurrent(t *testing.T) {
	v, _ := format(t, 2<<20, luks.Options{SectorSize: 4096, DataOffset: 1 << 20})
	const share = 5000 // not a multiple of the sector size
	if _, err := v.WriteAt(make([]byte, 32*share), 0); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			mine := make([]byte, share)
			r := rand.New(rand.NewPCG(uint64(g), 0))
			got := make([]byte, share)
			for range 40 {
				off := r.IntN(share)
				p := random(r.Uint64(), r.IntN(share-off))
				copy(mine[off:], p)
				if _, err := v.WriteAt(p, int64(g*share+off)); err != nil {
					t.Error(err)
				}
				if _, err := v.ReadAt(got, int64(g*share)); err != nil {
					t.Error(err)
				}
				if !bytes.Equal(got, mine) {
					t.Error("another goroutine's write changed these bytes")
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestFormat(t *testing.T) {
	_, f := format(t, 3<<20, luks.Options{Version: 1})
	if i := open(t, f.b).Info(); i.Version != 1 || len(i.Warnings) > 0 {
		t.Errorf("%+v", i)
	}
	if _, err := luks.Format(t.Context(), f, 1<<20, passphrase, luks.Options{Version: 1, KDF: cheap}); err == nil {
		t.Error("a file that is too short was formatted")
	}
}
