package vhd

import (
	"bytes"
	"context"
	"testing"
)

func BenchmarkReadAt(b *testing.B) {
	for name, full := range map[string]bool{"full": true, "mixed": false} {
		b.Run(name, func(b *testing.B) {
			file, _ := testDisk{size: 64 << 20, blockSize: 2 << 20, full: full}.build()
			d := open(b, bytes.NewReader(file), int64(len(file)), Options{})
			p := make([]byte, 1<<20)
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := d.ReadAt(p, int64(i%63)<<20+512); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpenEmpty2040GiB(b *testing.B) {
	s := emptyDisk(2040 << 30)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Open(context.Background(), s, s.size, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExtentsEmpty2040GiB(b *testing.B) {
	s := emptyDisk(2040 << 30)
	d := open(b, s, s.size, Options{})
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range d.Extents(0, d.Size()) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

type nowhere struct{}

func (nowhere) WriteAt(p []byte, off int64) (int, error) { return len(p), nil }

func BenchmarkCreate(b *testing.B) {
	guest := random(64 << 20)
	for name, opts := range map[string]CreateOptions{"dynamic": {}, "fixed": {Type: Fixed}, "encrypted": {Key: random(64)}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(guest)))
			for b.Loop() {
				if _, err := Create(context.Background(), nowhere{}, bytes.NewReader(guest), opts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
