package qcow

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"testing"
)

// sparse is a file whose end was never written.
type sparse struct {
	b    []byte
	size int64
}

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), s.size-off))
	clear(p[:n])
	if off < int64(len(s.b)) {
		copy(p[:n], s.b[off:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// emptyDisk returns an image with clusters of 64 KiB and no L2 table.
func emptyDisk(size int64) sparse {
	w := img{size: 0, bits: 16}.build()
	l1 := (&header{clusterBits: 16}).l1Needed(size)
	be.PutUint64(w.file[offSize:], uint64(size))
	be.PutUint32(w.file[offL1Size:], uint32(l1))
	at := int64(len(w.file)+65535) &^ 65535
	be.PutUint64(w.file[offL1Offset:], uint64(at))
	return sparse{w.file, at + l1*8}
}

func BenchmarkReadAt(b *testing.B) {
	for _, c := range []struct {
		name string
		img  img
	}{
		{"plain-64k", img{size: 32 << 20, bits: 16, kinds: "d"}},
		{"plain-4k", img{size: 32 << 20, bits: 12, kinds: "d"}},
		{"mixed-64k", img{size: 32 << 20, bits: 16, kinds: "-hzd"}},
		{"extended-64k", img{size: 32 << 20, bits: 16, extended: true, kinds: "-hzd"}},
		{"zlib-64k", img{size: 32 << 20, bits: 16, kinds: "c"}},
		{"zlib-2m", img{size: 32 << 20, bits: 21, kinds: "c"}},
		{"zstd-64k", img{size: 32 << 20, bits: 16, kinds: "c", zstd: true}},
		{"zstd-2m", img{size: 32 << 20, bits: 21, kinds: "c", zstd: true}},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := c.img.build()
			d := open(b, w.file, Options{})
			var at atomic.Int64
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				p := make([]byte, 1<<20)
				for pb.Next() {
					if _, err := d.ReadAt(p, at.Add(1)%32<<20); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkReadAtRandom4k(b *testing.B) {
	d := open(b, img{size: 32 << 20, bits: 16, kinds: "d"}.build().file, Options{})
	rnd := rand.New(rand.NewPCG(1, 1))
	p := make([]byte, 4096)
	b.SetBytes(4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.ReadAt(p, rnd.Int64N(8191)<<12); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExtentsEmpty16TiB(b *testing.B) {
	s := emptyDisk(16 << 40)
	d, err := Open(b.Context(), s, s.size, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range d.Extents(0, d.Size()) {
			if n++; err != nil {
				b.Fatal(err)
			}
		}
		if n != 1 {
			b.Fatalf("%d extents, want 1", n)
		}
	}
}

func BenchmarkOpenEmpty64TiB(b *testing.B) {
	s := emptyDisk(64 << 40)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Open(b.Context(), s, s.size, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	d := open(b, img{size: 32 << 20, bits: 12, kinds: "-hzdc"}.build().file, Options{})
	b.ReportAllocs()
	for b.Loop() {
		if r, err := d.Check(b.Context()); err != nil || r.Corruptions+r.Leaks > 0 {
			b.Fatal(r, err)
		}
	}
}

// TestAllocs checks that reading uncompressed data does not allocate once the L2 tables are cached.
func TestAllocs(t *testing.T) {
	w := img{size: 4 << 20, bits: 12, kinds: "d"}.build()
	d := open(t, w.file, Options{})
	p := make([]byte, 1<<20)
	d.ReadAt(p, 0)
	if n := testing.AllocsPerRun(20, func() { d.ReadAt(p, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if !bytes.Equal(p, w.guest[:1<<20]) {
		t.Error("the data is wrong")
	}
}

func BenchmarkCreate(b *testing.B) {
	src := again{mixed(8<<20, 3), 64 << 20}
	for _, name := range []string{"plain", "zlib", "zstd", "luks"} {
		o := creations()[name]
		b.Run(name, func(b *testing.B) {
			b.SetBytes(src.size)
			for range b.N {
				if name == "luks" {
					o.LUKS = cheapLUKS()
				}
				if _, err := Create(context.Background(), nowhere{}, src, o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
