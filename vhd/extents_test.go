package vhd

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/luksimg/luksimg/image"
)

func TestExtents(t *testing.T) {
	for name, c := range disks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, guest := c.build()
			d := open(t, bytes.NewReader(file), int64(len(file)), Options{})
			checkExtents(t, d, guest, 0, d.Size())
			rnd := rand.New(rand.NewPCG(2, 2))
			for range 50 {
				off := rnd.Int64N(d.Size() + 1)
				checkExtents(t, d, guest, off, rnd.Int64N(d.Size()-off+1))
			}
		})
	}
}

// checkExtents checks that the extents of a range cover it exactly and tell data
// from zeros. The data of the builder has no zero bytes, so it can be exact.
func checkExtents(t *testing.T, d *Disk, guest []byte, off, n int64) {
	at := off
	for e, err := range d.Extents(off, n) {
		if err != nil {
			t.Errorf("Extents(%d, %d): %v", off, n, err)
			return
		}
		if e.Offset != at || e.Length <= 0 || e.End() > off+n {
			t.Errorf("Extents(%d, %d): extent %+v, want one from %d on", off, n, e, at)
			return
		}
		if b := guest[e.Offset:e.End()]; e.Kind == image.Data {
			if bytes.IndexByte(b, 0) >= 0 {
				t.Errorf("Extents(%d, %d): %+v has zeros", off, n, e)
			}
		} else if bytes.Count(b, []byte{0}) != len(b) {
			t.Errorf("Extents(%d, %d): %+v has data", off, n, e)
		}
		at = e.End()
	}
	if at != off+n {
		t.Errorf("Extents(%d, %d) end at %d", off, n, at)
	}
}

func TestExtentsAreClipped(t *testing.T) {
	for _, c := range []testDisk{{size: 50 * 512}, small} {
		file, _ := c.build()
		d := open(t, bytes.NewReader(file), int64(len(file)), Options{})
		for _, r := range [][2]int64{{-5, 10}, {0, 1 << 62}, {d.Size(), 1}, {d.Size() + 5, 1}, {3, -1}, {-1 << 63, -1 << 63}, {1<<63 - 1, 1<<63 - 1}} {
			for e, err := range d.Extents(r[0], r[1]) {
				if err != nil || e.Offset < 0 || e.Length <= 0 || e.End() > d.Size() {
					t.Errorf("Extents(%d, %d): %+v, %v", r[0], r[1], e, err)
				}
			}
		}
	}
}

// A caller that stops early is not called again, and one that reads the disk inside
// the loop does not disturb it.
func TestExtentsStopAndNest(t *testing.T) {
	file, guest := testDisk{size: 40 * 8192, blockSize: 8192, seed: 4}.build()
	d := open(t, bytes.NewReader(file), int64(len(file)), Options{})
	total := 0
	for range d.Extents(0, d.Size()) {
		total++
	}
	for stop := range total {
		n := 0
		for range d.Extents(0, d.Size()) {
			if n++; n > stop {
				break
			}
		}
	}
	for range d.Extents(0, d.Size()) {
		checkReads(t, d, guest, 1)
		checkExtents(t, d, guest, 0, 3*8192)
	}
}

func TestFixedPassesExtents(t *testing.T) {
	file, _ := testDisk{size: 11 * 512}.build()
	d := open(t, holey{bytes.NewReader(file)}, int64(len(file)), Options{})
	var got []image.Extent
	for e, err := range d.Extents(512, d.Size()-512) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	want := []image.Extent{{Offset: 512, Length: 512, Kind: image.Data}, {Offset: 1024, Length: 1024, Kind: image.Hole},
		{Offset: 2048, Length: 1024, Kind: image.Data}, {Offset: 3072, Length: 1024, Kind: image.Hole},
		{Offset: 4096, Length: 1024, Kind: image.Data}, {Offset: 5120, Length: 512, Kind: image.Hole}}
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("extent %d: %+v, want %+v", i, got[i], want[i])
		}
	}
	for range d.Extents(0, d.Size()) {
		break
	}
}

// An empty disk of 2040 GiB is one extent.
func TestExtentsOfEmptyDisk(t *testing.T) {
	s := emptyDisk(2040 << 30)
	d := open(t, s, s.size, Options{})
	n := 0
	for e, err := range d.Extents(0, d.Size()) {
		if n++; err != nil || n > 1 || e != (image.Extent{Offset: 0, Length: 2040 << 30, Kind: image.Hole}) {
			t.Errorf("extent %d: %+v, %v", n, e, err)
		}
	}
}

// emptyDisk is a dynamic disk with blocks of 2 MiB, all absent.
func emptyDisk(size int64) *sparse {
	const block = 2 << 20
	c := testDisk{size: size, blockSize: block, chs: &[3]uint16{65535, 16, 255}}
	entries := size / block
	s := newSparse(footerSize+headerSize+4*entries+footerSize, map[int64][]byte{
		0:                       c.footer(typeDynamic, footerSize),
		footerSize:              c.header(footerSize+headerSize, int64(entries)),
		footerSize + headerSize: bytes.Repeat([]byte{0xff}, int(4*entries)),
	})
	s.put(s.size-footerSize, c.footer(typeDynamic, footerSize))
	return s
}
