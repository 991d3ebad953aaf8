package vhd

import (
	"bytes"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// TestExtentsNest reads the disk inside a loop over its extents.
func TestExtentsNest(t *testing.T) {
	file, guest := testDisk{size: 40 * 8192, blockSize: 8192, seed: 4}.build()
	d := open(t, bytes.NewReader(file), int64(len(file)), Options{})
	for range d.Extents(0, d.Size()) {
		imagetest.Exact(t, d, guest)
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
}

// TestExtentsOfEmptyDisk checks that an empty disk of 2040 GiB is one extent.
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

// emptyDisk returns a dynamic disk with blocks of 2 MiB, all absent.
func emptyDisk(size int64) *sparse {
	const block = 2 << 20
	c := testDisk{size: size, blockSize: block, chs: &[3]uint16{65535, 16, 255}}
	entries := size / block
	s := newSparse(footerSize+headerSize+4*entries+footerSize, map[int64][]byte{
		0:                       c.footer(typeDynamic, footerSize),
		footerSize:              c.header(footerSize+headerSize, entries),
		footerSize + headerSize: bytes.Repeat([]byte{0xff}, int(4*entries)),
	})
	s.put(s.size-footerSize, c.footer(typeDynamic, footerSize))
	return s
}

func extents(t testing.TB, d *Disk) (all []image.Extent) {
	t.Helper()
	for e, err := range image.Extents(d, 0, d.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}
