package vmdk

import (
	"testing"
)

func BenchmarkReadAt(b *testing.B) {
	const sectors = 32 << 11 // 32 MiB
	for _, c := range []struct {
		name string
		img  img
	}{
		{"sparse-64k", img{sectors: sectors, kinds: "d"}},
		{"sparse-4k", img{sectors: sectors, grain: 8, kinds: "d"}},
		{"mixed-64k", img{sectors: sectors, version: 2, kinds: "-hd"}},
		{"stream-64k", img{sectors: sectors, version: 3, compress: true, markers: true, late: true, footer: true, kinds: "d", level: 1}},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := c.img.build()
			d := open(b, w.file, Options{})
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				p := make([]byte, 1<<20)
				for at := int64(0); pb.Next(); at = (at + 1<<20) % d.Size() {
					if _, err := d.ReadAt(p, at); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkSmallReads reads 4 KiB at a time from grains of 64 KiB.
func BenchmarkSmallReads(b *testing.B) {
	w := img{sectors: 16 << 11, version: 3, compress: true, markers: true, kinds: "d", level: 1}.build()
	d := open(b, w.file, Options{})
	b.SetBytes(4096)
	p := make([]byte, 4096)
	for at := int64(0); b.Loop(); at = (at + 4096) % d.Size() {
		if _, err := d.ReadAt(p, at); err != nil {
			b.Fatal(err)
		}
	}
}
