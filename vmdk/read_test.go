package vmdk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/luksimg/luksimg/image"
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
			compare(t, d, w.guest)
			i, err := d.Info(context.Background())
			if err != nil || i.VirtualSize != int64(len(w.guest)) || i.Compressed != m.compress || i.FileSize != int64(len(w.file)) {
				t.Errorf("%+v, %v", i, err)
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

// compare reads all of a disk, and parts of it at random from many goroutines.
func compare(t *testing.T, d *Disk, guest []byte) {
	t.Helper()
	if d.Size() != int64(len(guest)) {
		t.Fatalf("size %d, want %d", d.Size(), len(guest))
	}
	got := make([]byte, len(guest)+1)
	if n, err := d.ReadAt(got, 0); n != len(guest) || err != io.EOF || !bytes.Equal(got[:n], guest) {
		t.Fatalf("ReadAt of all = %d, %v, or other bytes", n, err)
	}
	checkExtents(t, d, guest, 0, d.Size())
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 9))
			for range 30 {
				off := rnd.IntN(len(guest))
				n := min(rnd.IntN(1<<rnd.IntN(18)+1), len(guest)-off)
				p := make([]byte, n)
				if got, err := d.ReadAt(p, int64(off)); got != n || err != nil || !bytes.Equal(p, guest[off:off+n]) {
					t.Errorf("ReadAt(%d bytes, %d) = %d, %v, or other bytes", n, off, got, err)
					return
				}
				if n > 0 && rnd.IntN(10) == 0 {
					checkExtents(t, d, guest, int64(off), int64(n))
				}
			}
		})
	}
	wg.Wait()
}

// checkExtents checks that the extents of a range cover it exactly and tell data
// from zeros. The data of the builder has no zero bytes, so it can be exact.
func checkExtents(t *testing.T, d *Disk, guest []byte, off, n int64) {
	t.Helper()
	at := off
	for e, err := range d.Extents(off, n) {
		if err != nil || e.Offset != at || e.Length <= 0 || e.End() > off+n {
			t.Errorf("Extents(%d, %d): extent %+v, %v, want one from %d on", off, n, e, err, at)
			return
		}
		at = e.End()
		if b := guest[e.Offset:at]; e.Kind == image.Data {
			if bytes.IndexByte(b, 0) >= 0 {
				t.Errorf("Extents(%d, %d): %+v has zeros", off, n, e)
			}
		} else if bytes.Count(b, []byte{0}) != len(b) {
			t.Errorf("Extents(%d, %d): %+v has data", off, n, e)
		}
	}
	if at != off+n {
		t.Errorf("Extents(%d, %d) end at %d", off, n, at)
	}
}

func TestReadAtEdges(t *testing.T) {
	w := img{sectors: 10, kinds: "d"}.build()
	d := open(t, w.file, Options{})
	p := make([]byte, 100)
	for _, c := range []struct {
		off int64
		n   int
		eof bool
	}{{5120, 0, true}, {5110, 10, true}, {5020, 100, false}, {1 << 62, 0, true}} {
		if n, err := d.ReadAt(p, c.off); n != c.n || (err == io.EOF) != c.eof {
			t.Errorf("ReadAt(%d) = %d, %v", c.off, n, err)
		}
	}
	if _, err := d.ReadAt(p, -1); err == nil || err == io.EOF {
		t.Errorf("negative: %v", err)
	}
	if n, err := d.ReadAt(nil, 7000); n != 0 || err != nil {
		t.Errorf("nothing: %d, %v", n, err)
	}
	for _, r := range [][2]int64{{-5, 10}, {0, 1 << 62}, {5120, 1}, {6000, 1}, {3, -1}, {-1 << 63, -1 << 63}, {1<<63 - 1, 1<<63 - 1}} {
		for e, err := range d.Extents(r[0], r[1]) {
			if err != nil || e.Offset < 0 || e.Length <= 0 || e.End() > 5120 {
				t.Errorf("Extents(%v): %+v, %v", r, e, err)
			}
		}
	}
}

var errDevice = errors.New("device error")

// flaky fails once its reads are used up.
type flaky struct {
	r    io.ReaderAt
	left int64
}

func (f *flaky) ReadAt(p []byte, off int64) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errDevice
	}
	return f.r.ReadAt(p, off)
}

func TestReadErrors(t *testing.T) {
	for _, m := range []img{
		{sectors: 3000, redundant: true},
		{sectors: 3000, version: 3, compress: true, markers: true, late: true, footer: true, kinds: "d"},
	} {
		w := m.build()
		good := 0
		for left := range int64(60) {
			f := &flaky{r: bytes.NewReader(w.file), left: left}
			d, err := Open(f, int64(len(w.file)), Options{})
			if err == nil {
				_, err = d.ReadAt(make([]byte, 3000*sectorSize), 0)
			}
			if err == nil {
				good++
			} else if !errors.Is(err, errDevice) {
				t.Fatalf("%d reads: %v", left, err)
			}
		}
		if good == 0 || good == 60 {
			t.Errorf("%d of 60 without an error", good)
		}
	}
}

// counter counts reads.
type counter struct {
	r     io.ReaderAt
	mu    sync.Mutex
	reads int
}

func (c *counter) ReadAt(p []byte, off int64) (int, error) {
	c.mu.Lock()
	c.reads++
	c.mu.Unlock()
	return c.r.ReadAt(p, off)
}

// A grain is decompressed once, however many ask for parts of it.
func TestOneDecode(t *testing.T) {
	w := img{sectors: 128, version: 3, compress: true, markers: true, kinds: "d"}.build()
	c := &counter{r: bytes.NewReader(w.file)}
	d, err := Open(c, int64(len(w.file)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.ReadAt(make([]byte, 10), 100); err != nil {
		t.Fatal(err)
	}
	before := c.reads
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
	if c.reads != before {
		t.Errorf("%d more reads", c.reads-before)
	}
}

// An empty disk of many TiB costs nothing but its directory.
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
	c := &counter{r: bytes.NewReader(w.file)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	d, err := Open(c, int64(len(w.file)), Options{})
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if got := int64(after.TotalAlloc - before.TotalAlloc); got > 4*n+1<<20 {
		t.Errorf("Open allocated %d bytes", got)
	}
	opened := c.reads
	i, err := d.Info(context.Background())
	if err != nil || i.VirtualSize != sectors*sectorSize || i.AllocatedBytes != 0 {
		t.Errorf("%+v, %v", i, err)
	}
	for e, err := range image.Extents(d, 0, d.Size()) {
		if err != nil || e.Kind != image.Hole || e.Length != d.Size() {
			t.Errorf("%+v, %v", e, err)
		}
	}
	if c.reads != opened {
		t.Errorf("%d reads of an empty disk", c.reads-opened)
	}
}
