package qcow

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/luksimg/luksimg/internal/pieces"
	"github.com/luksimg/luksimg/internal/spans"
	"github.com/luksimg/luksimg/luks"
)

// A window is a part of a file in memory. It discards writes outside that part.
type window struct {
	b   []byte
	off int64
}

func (w window) WriteAt(p []byte, off int64) (int, error) {
	if from, to := max(off, w.off), min(off+int64(len(p)), w.off+int64(len(w.b))); from < to {
		copy(w.b[from-w.off:to-w.off], p[from-off:])
	}
	return len(p), nil
}

// usedOf returns the clusters of a disk that are not all zeros.
func usedOf(b []byte) (l spans.List) {
	for at := 0; at < len(b); at += 64 << 10 {
		if !pieces.IsZero(b[at:min(at+64<<10, len(b))]) {
			l.Add(int64(at>>16), 1)
		}
	}
	return l
}

// TestLayout writes an image in parts of various sizes, in order and not, and compares it with the
// file that Create makes.
func TestLayout(t *testing.T) {
	key := []byte("correct horse")
	for name, size := range map[string]int{"empty": 0, "one": 1, "small": 300_000, "odd": 5_000_003} {
		for _, most := range []int{100_000, 700_000, 1 << 30} {
			t.Run(fmt.Sprint(name, "/", most), func(t *testing.T) {
				src := mixed(size, 5)
				want, r := createIn(t, bytes.NewReader(src), CreateOptions{Passphrase: key, LUKS: cheapLUKS()})
				h, err := luks.Open(bytes.NewReader(want.b[64<<10:]), int64(len(want.b)-64<<10), luks.OpenOptions{})
				if err != nil {
					t.Fatal(err)
				}
				v, err := h.Unlock(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				l, err := NewLayout(LayoutOptions{Size: int64(size), Clusters: usedOf(src), LUKSSize: h.DataOffset()})
				if err != nil {
					t.Fatal(err)
				}
				if l.Size() != r.FileSize || l.LUKSOffset() != 64<<10 {
					t.Fatalf("%d bytes, LUKS at %d, want %d", l.Size(), l.LUKSOffset(), r.FileSize)
				}
				got := make([]byte, l.Size())
				type part struct{ from, to int64 }
				var parts []part
				rnd := rand.New(rand.NewPCG(uint64(size), uint64(most)))
				for at := int64(0); at < l.Size(); {
					end := min(l.Size(), at+1+rnd.Int64N(int64(min(most, size+70_000))))
					parts = append(parts, part{at, end})
					at = end
				}
				if most == 700_000 {
					rnd.Shuffle(len(parts), func(i, k int) { parts[i], parts[k] = parts[k], parts[i] })
				}
				for _, p := range parts {
					w := window{got[p.from:p.to], p.from}
					if err := l.WriteRange(t.Context(), w, bytes.NewReader(src), v, p.from, p.to, 2, func(int64) {}); err != nil {
						t.Fatal(err)
					}
				}
				copy(got[64<<10:], want.b[64<<10:][:h.DataOffset()])
				for at := range got {
					if got[at] != want.b[at] {
						t.Fatalf("different byte at %d of %d", at, len(got))
					}
				}
			})
		}
	}
}

// TestLayoutTables writes the parts of an image with many tables and little data, and compares the
// tables with those of an image written in one go.
func TestLayoutTables(t *testing.T) {
	const size = 3 << 40
	var used spans.List
	rnd := rand.New(rand.NewPCG(3, 4))
	for at := int64(0); at < size>>16; at += 1 + rnd.Int64N(1<<17) {
		used.Add(at, min(1+rnd.Int64N(100), size>>16-at))
	}
	l, err := NewLayout(LayoutOptions{Size: size, Clusters: used, LUKSSize: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	whole := &sparseFile{data: map[int64][]byte{}}
	if _, err := l.tables(t.Context(), whole, 0, l.Size()); err != nil {
		t.Fatal(err)
	}
	const part = 50<<20 + 12345
	clusters := int64(0)
	for from := int64(0); from < l.Size(); from += part {
		to := min(from+part, l.Size())
		w := window{make([]byte, to-from), from}
		data, err := l.tables(t.Context(), w, from, to)
		if err != nil {
			t.Fatal(err)
		}
		want := make([]byte, to-from)
		if n, err := whole.ReadAt(want, from); n < len(want) && from+int64(n) < whole.size {
			t.Fatal(err)
		}
		if !bytes.Equal(w.b, want) {
			t.Fatalf("different tables from %d to %d", from, to)
		}
		for _, r := range data {
			clusters += (min(r.host+r.n, to) - max(r.host, from))
		}
	}
	if clusters != used.Len()<<16 {
		t.Errorf("%d bytes of data, want %d", clusters, used.Len()<<16)
	}
}

// TestLayoutMemory lays out a full disk of 10 TB in bounded memory.
func TestLayoutMemory(t *testing.T) {
	var used spans.List
	used.Add(0, 10<<40>>16)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	l, err := NewLayout(LayoutOptions{Size: 10 << 40, Clusters: used, LUKSSize: 2 << 20})
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; err != nil || n > 32<<20 {
		t.Errorf("%v, %d bytes allocated", err, n)
	}
	if l.Size() < 10<<40 {
		t.Errorf("%d bytes", l.Size())
	}
}

func TestLayoutRefuses(t *testing.T) {
	var used spans.List
	used.Add(0, 3)
	for name, o := range map[string]LayoutOptions{
		"a cluster past the end": {Size: 2 << 16, Clusters: used, LUKSSize: 4096},
		"no header":              {Size: 4 << 16, Clusters: used},
		"a large header":         {Size: 4 << 16, Clusters: used, LUKSSize: 17 << 20},
		"negative":               {Size: -1, LUKSSize: 4096},
	} {
		if l, err := NewLayout(o); err == nil {
			t.Errorf("%s: %v", name, l)
		}
	}
}
