package disk

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

const unit = 1000 // bytes, not a power of two, so that nothing is aligned by chance

// build returns a disk of units of the given kinds, and the bytes that its guest sees. "-" is
// absent, "h" hole, "z" zero, "d" data, "c" packed. The file holds data in the order of the disk.
func build(kinds string, parent []byte) (*Disk, []byte) {
	size := int64(len(kinds))*unit - 7
	rnd := rand.NewChaCha8([32]byte{7})
	host := make([]byte, len(kinds)*unit)
	rnd.Read(host)
	file := &File{R: bytes.NewReader(host)}
	want := make([]byte, size)
	d := &Disk{Format: "test", Size: size, Units: NewCache(unit), ParentName: "parent"}
	if parent != nil {
		d.Parent = bytes.NewReader(parent)
	}
	d.Unpack = func(dst []byte, r Run) error {
		copy(dst, host[r.Key*unit:][:unit])
		return nil
	}
	d.UnpackAll = func(units []PackedUnit) (int, error) {
		for i, u := range units {
			if err := d.Unpack(u.Dst, u.Run); err != nil {
				return i, err
			}
		}
		return len(units), nil
	}
	d.Locate = func(pos, end int64) (Run, error) {
		i, within := pos/unit, pos%unit
		r := Run{N: min(unit-within, end-pos)}
		switch kinds[i] {
		case 'h':
			r.Kind = Hole
		case 'z':
			r.Kind = Zero
		case 'd':
			r.Kind, r.File, r.Host = Data, file, pos
		case 'c':
			r.Kind, r.File, r.Key, r.Within, r.UnitSize = Packed, file, uint64(i), within, unit
		}
		return r, nil
	}
	for i, k := range kinds {
		lo, hi := int64(i)*unit, min(int64(i+1)*unit, size)
		switch k {
		case 'd', 'c':
			copy(want[lo:hi], host[lo:])
		case '-':
			copy(want[lo:hi], parent[min(lo, int64(len(parent))):])
		}
	}
	return d, want
}

func TestDisk(t *testing.T) {
	parent := bytes.Repeat([]byte("parent"), 1000)
	for _, kinds := range []string{"d", "-", "h", "zz", "c", "ddd", "d-d-hz", "hzdc-ddcc--zzhh", strings.Repeat("d", 50) + "-"} {
		for name, p := range map[string][]byte{"no parent": nil, "short parent": parent[:2500], "parent": parent} {
			t.Run(kinds+" "+name, func(t *testing.T) {
				d, want := build(kinds, p)
				imagetest.Source(t, source{d}, want)
			})
		}
	}
}

// source adds Size to a Disk, which makes it an image.Source.
type source struct{ *Disk }

func (s source) Size() int64 { return s.Disk.Size }

func TestRefuse(t *testing.T) {
	d, _ := build("dd", nil)
	d.MetadataOnly = true
	if _, err := d.ReadAt(make([]byte, 1), 0); err == nil || !strings.Contains(err.Error(), "test: the image was opened for its metadata only") {
		t.Error(err)
	}
	for _, err := range d.Extents(0, 10) {
		if err == nil {
			t.Error("Extents succeeded on a disk opened for metadata only")
		}
	}
	d.MetadataOnly = false
	locked := errors.New("locked")
	d.Locked = func() error { return locked }
	if _, err := d.ReadAt(make([]byte, 1), 0); err != locked {
		t.Error(err)
	}
	for _, err := range d.Extents(0, 10) {
		if err != nil {
			t.Error(err)
		}
	}
}

// holed is a file that consists of one hole and yields more than the requested range.
type holed struct{ io.ReaderAt }

func (holed) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		yield(image.Extent{Offset: off - 5, Length: n + 10, Kind: image.Hole}, nil)
	}
}

func TestFileExtents(t *testing.T) {
	for opaque, want := range map[bool]image.Kind{false: image.Hole, true: image.Data} {
		f := File{R: holed{strings.NewReader("")}, Opaque: opaque}
		n := 0
		f.Extents(100, 20, 7, func(e image.Extent, err error) bool {
			if n++; err != nil || e != (image.Extent{Offset: 7, Length: 20, Kind: want}) {
				t.Errorf("opaque %v: %+v, %v", opaque, e, err)
			}
			return true
		})
		if n != 1 {
			t.Errorf("opaque %v: %d extents", opaque, n)
		}
	}
}

// TestErrors checks that errors name their file, and that the bytes before an error are returned.
func TestErrors(t *testing.T) {
	broken := errors.New("broken")
	d, want := build("ddhd", nil)
	locate := d.Locate
	d.Locate = func(pos, end int64) (Run, error) {
		if pos >= 2*unit {
			return Run{}, broken
		}
		return locate(pos, end)
	}
	p := make([]byte, 3*unit)
	if n, err := d.ReadAt(p, 0); n != 2*unit || err != broken || !bytes.Equal(p[:n], want[:n]) {
		t.Errorf("%d bytes, %v", n, err)
	}

	d, _ = build("d", nil)
	file := &File{R: strings.NewReader("short"), Wrap: func(err error) error { return errors.Join(errors.New("the second file"), err) }}
	d.Locate = func(pos, end int64) (Run, error) { return Run{Kind: Data, N: end - pos, File: file, Host: pos}, nil }
	if _, err := d.ReadAt(make([]byte, 10), 0); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "the second file") || !strings.Contains(err.Error(), "test: read 10 bytes at offset 0 of the file") {
		t.Error(err)
	}

	d, _ = build("-", []byte("short"))
	d.Parent = lying{d.Parent}
	if _, err := d.ReadAt(make([]byte, 10), 0); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "test: parent:") {
		t.Error(err)
	}
}

// lying is a source that is shorter than its Size.
type lying struct{ image.Source }

func (lying) Size() int64 { return 1 << 20 }

// TestPages reads a file through a small page cache.
func TestPages(t *testing.T) {
	b := make([]byte, 3*pageSlots*16+5)
	rand.NewChaCha8([32]byte{}).Read(b)
	clear(b[160:176])
	f := &File{R: bytes.NewReader(b)}
	c := Pages{Format: "test", Size: 16}
	for range 2 {
		for off := int64(0); off < int64(len(b)); off += 7 {
			p, err := c.Page(f, int64(len(b)), off)
			if err != nil || p.B[off-p.Off] != b[off] || p.Off%16 != 0 || p.Zero != (p.Off == 160) {
				t.Fatalf("at %d: %+v, %v", off, p, err)
			}
		}
	}
	for _, off := range []int64{-1, int64(len(b)), 1 << 40} {
		if _, err := c.Page(f, int64(len(b)), off); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("at %d: %v", off, err)
		}
	}
}

// gappy is a file with data in every second stretch of 64 bytes. Reading from a hole fails the
// test.
type gappy struct {
	t    *testing.T
	data []byte
}

func (g gappy) isHole(off int64) bool { return off/64%2 == 1 }

func (g gappy) ReadAt(p []byte, off int64) (int, error) {
	if g.isHole(off) {
		g.t.Errorf("read from the hole at %d", off)
	}
	return bytes.NewReader(g.data).ReadAt(p, off)
}

func (g gappy) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		for end := off + n; off < end; {
			e := image.Extent{Offset: off, Length: min(64-off%64, end-off)}
			if g.isHole(off) {
				e.Kind = image.Hole
			}
			if !yield(e, nil) {
				return
			}
			off = e.End()
		}
	}
}

// TestPagesInHoles checks that pages in holes are not read from the file, in any order of access.
func TestPagesInHoles(t *testing.T) {
	data := make([]byte, 64*64+7)
	for i := range data {
		if i/64%2 == 0 {
			data[i] = 1
		}
	}
	g := gappy{t, data}
	f, size := &File{R: g}, int64(len(data))
	c := Pages{Format: "test", Size: 16}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		off := rnd.Int64N(size)
		p, err := c.Page(f, size, off)
		if err != nil || p.B[off-p.Off] != data[off] || p.Zero != g.isHole(off) || p.Off != off&^15 || int64(len(p.B)) != min(16, size-p.Off) {
			t.Fatalf("at %d: %+v, %v", off, p, err)
		}
	}
	for _, h := range []struct {
		off, n int64
		want   bool
	}{{64, 64, true}, {64, 65, false}, {63, 1, false}, {127, 1, true}, {127, 2, false}, {-1, 1, false}, {64, 0, false}, {64, size, false}, {size, 1, false}} {
		if got := c.Hole(f, size, h.off, h.n); got != h.want {
			t.Errorf("%d bytes at %d: a hole: %v", h.n, h.off, got)
		}
	}
	if c.Hole(&File{R: bytes.NewReader(data)}, size, 64, 1) {
		t.Error("Hole is true for a file that reports no holes")
	}
	failing := func(yield func(image.Extent, error) bool) {
		yield(image.Extent{Length: 1, Kind: image.Hole}, errors.New("x"))
	}
	if c.Hole(&File{R: extenter{bytes.NewReader(data), failing}}, size, 0, 1) {
		t.Error("Hole is true although Extents failed")
	}
}

// extenter is a file that yields the same extents for every range.
type extenter struct {
	io.ReaderAt
	seq iter.Seq2[image.Extent, error]
}

func (e extenter) Extents(int64, int64) iter.Seq2[image.Extent, error] { return e.seq }

// TestUnpackAll reads several units in one call, one of which is corrupt, and checks that the units
// before it are returned.
func TestUnpackAll(t *testing.T) {
	corrupt := errors.New("corrupt")
	kinds := strings.Repeat("c", 5) + "d" + strings.Repeat("c", unitsAtOnce+3)
	for bad := range uint64(len(kinds)) {
		d, want := build(kinds, nil)
		var sizes []int
		unpack, all := d.Unpack, d.UnpackAll
		d.Unpack = func(dst []byte, r Run) error {
			if r.Key == bad {
				return corrupt
			}
			return unpack(dst, r)
		}
		d.UnpackAll = func(units []PackedUnit) (int, error) {
			sizes = append(sizes, len(units))
			return all(units)
		}
		p := make([]byte, d.Size)
		n, err := d.ReadAt(p, 0)
		wantN, wantErr, wantSizes := int(bad)*unit, corrupt, []int{5}
		if bad == 5 { // unit 5 is not packed
			wantN, wantErr = len(p), nil
		}
		if bad >= 5 {
			wantSizes = append(wantSizes, unitsAtOnce)
		}
		// The last unit is read in part.
		if bad == 5 || bad >= 6+unitsAtOnce {
			wantSizes = append(wantSizes, 2)
		}
		if n != wantN || !errors.Is(err, wantErr) || !bytes.Equal(p[:n], want[:n]) || !slices.Equal(sizes, wantSizes) {
			t.Errorf("%d is corrupt: %d bytes, %v, %d at once; want %d, %v, %d", bad, n, err, sizes, wantN, wantErr, wantSizes)
		}
	}
}
