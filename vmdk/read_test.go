package vmdk

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

func TestRead(t *testing.T) {
	all := imgs()
	if len(all) < 40 {
		t.Errorf("%d images", len(all))
	}
	for name, m := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := m.build()
			d := open(t, w.file, Options{})
			imagetest.Exact(t, d, w.guest)
			i, err := d.Info(context.Background())
			if err != nil || i.VirtualSize != int64(len(w.guest)) || i.Compressed != m.compress || i.FileSize != int64(len(w.file)) {
				t.Errorf("Info: got %+v, %v", i, err)
			}
			if got, want := i.AllocatedBytes, int64(len(w.guest)-bytes.Count(w.guest, []byte{0})); got != want {
				t.Errorf("%d bytes allocated, want %d", got, want)
			}
			odd := m.unclean || m.flags != 0 || m.noEnd || m.nominal != 0
			if odd != (len(i.Warnings) > 0) {
				t.Errorf("warnings: %q", i.Warnings)
			}
			if !Detect(bytes.NewReader(w.file), int64(len(w.file))) {
				t.Error("not detected")
			}
		})
	}
}

// TestOneDecode checks that a grain is decompressed once for all concurrent readers.
func TestOneDecode(t *testing.T) {
	w := img{sectors: 128, version: 3, compress: true, markers: true, kinds: "d"}.build()
	c := &imagetest.Counter{ReaderAt: bytes.NewReader(w.file)}
	d, err := Open(context.Background(), c, int64(len(w.file)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.ReadAt(make([]byte, 10), 100); err != nil {
		t.Fatal(err)
	}
	before := c.Reads.Load()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				off := (g*50 + i) * 150
				p := make([]byte, 150)
				if _, err := d.ReadAt(p, int64(off)); err != nil || !bytes.Equal(p, w.guest[off:][:150]) {
					t.Errorf("at %d: %v", off, err)
				}
			}
		})
	}
	wg.Wait()
	if c.Reads.Load() != before {
		t.Errorf("%d more reads", c.Reads.Load()-before)
	}
}

// TestEmptyHuge checks that opening and reading an empty disk of many TiB reads only its directory.
func TestEmptyHuge(t *testing.T) {
	const sectors = 64 << 31 // 64 TiB
	n := int64(sectors / 128 / 512)
	w := img{sectors: 128}.build()
	w.file = append(w.file, make([]byte, 4*n)...)
	le.PutUint64(w.file[offCapacity:], sectors)
	le.PutUint64(w.file[offDirectory:], uint64(int64(len(w.file))-4*n)/sectorSize)
	copy(w.file[sectorSize:], make([]byte, descriptorSectors*sectorSize))
	m := img{nominal: sectors}
	m.defaults()
	copy(w.file[sectorSize:], m.text("x", "SPARSE"))
	c := &imagetest.Counter{ReaderAt: bytes.NewReader(w.file)}
	var d *Disk
	var err error
	imagetest.Bounded(t, uint64(4*n+1<<20), func() { d, err = Open(context.Background(), c, int64(len(w.file)), Options{}) })
	if err != nil {
		t.Fatal(err)
	}
	opened := c.Reads.Load()
	i, err := d.Info(context.Background())
	if err != nil || i.VirtualSize != sectors*sectorSize || i.AllocatedBytes != 0 {
		t.Errorf("Info: got %+v, %v", i, err)
	}
	for e, err := range image.Extents(d, 0, d.Size()) {
		if err != nil || e.Kind != image.Hole || e.Length != d.Size() {
			t.Errorf("got extent %+v, %v; want one hole", e, err)
		}
	}
	if c.Reads.Load() != opened {
		t.Errorf("%d reads of an empty disk", c.Reads.Load()-opened)
	}
}

func TestReadErrors(t *testing.T) {
	for _, m := range []img{
		{sectors: 3000, redundant: true},
		{sectors: 3000, version: 3, compress: true, markers: true, late: true, footer: true, kinds: "d"},
	} {
		w := m.build()
		imagetest.ReadErrors(t, bytes.NewReader(w.file), w.guest, 2, func(r io.ReaderAt) (image.Source, error) {
			return Open(context.Background(), r, int64(len(w.file)), Options{})
		})
	}
}
