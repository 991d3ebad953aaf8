package qcow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/chain"
	"github.com/luksimg/luksimg/internal/disk"
)

func TestRead(t *testing.T) {
	for name, m := range imgs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := m.build()
			d := open(t, w.file, Options{})
			if d.Size() != int64(len(w.guest)) {
				t.Fatalf("size %d, want %d", d.Size(), len(w.guest))
			}
			got := make([]byte, len(w.guest)+1)
			if n, err := d.ReadAt(got, 0); n != len(w.guest) || err != io.EOF || !bytes.Equal(got[:n], w.guest) {
				t.Fatalf("ReadAt of all = %d, %v, or other bytes", n, err)
			}
			checkExtents(t, d, w.guest, 0, d.Size())
			if r, err := d.Check(context.Background()); err != nil || r.Corruptions+r.Leaks != 0 {
				t.Errorf("Check: %+v, %v", r, err)
			}
			readMany(t, d, w.guest)
		})
	}
}

// readMany reads at random from many goroutines.
func readMany(t *testing.T, d *Disk, guest []byte) {
	if len(guest) == 0 {
		return
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 9))
			for range 200 {
				off := rnd.IntN(len(guest))
				n := min(rnd.IntN(1<<rnd.IntN(18)+1), len(guest)-off)
				p := make([]byte, n)
				if got, err := d.ReadAt(p, int64(off)); got != n || err != nil || !bytes.Equal(p, guest[off:off+n]) {
					t.Errorf("ReadAt(%d bytes, %d) = %d, %v, or other bytes", n, off, got, err)
					return
				}
				if n > 0 && rnd.IntN(20) == 0 {
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
	w := img{size: 5000, kinds: "d"}.build()
	d := open(t, w.file, Options{})
	p := make([]byte, 100)
	for _, c := range []struct {
		off int64
		n   int
		eof bool
	}{{5000, 0, true}, {4990, 10, true}, {4900, 100, false}, {1 << 62, 0, true}} {
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
	for _, r := range [][2]int64{{-5, 10}, {0, 1 << 62}, {5000, 1}, {6000, 1}, {3, -1}, {-1 << 63, -1 << 63}, {1<<63 - 1, 1<<63 - 1}} {
		for e, err := range d.Extents(r[0], r[1]) {
			if err != nil || e.Offset < 0 || e.Length <= 0 || e.End() > 5000 {
				t.Errorf("Extents(%v): %+v, %v", r, e, err)
			}
		}
	}
}

func TestSnapshot(t *testing.T) {
	w := img{size: 90_000, snapshot: true}.build()
	for _, s := range []string{"1", "snap"} {
		d := open(t, w.file, Options{Snapshot: s})
		got, err := io.ReadAll(io.NewSectionReader(d, 0, d.Size()))
		if err != nil || !bytes.Equal(got, w.guest) {
			t.Errorf("%s: other bytes, or %v", s, err)
		}
	}
	if _, err := Open(t.Context(), bytes.NewReader(w.file), int64(len(w.file)), Options{Snapshot: "x"}); !errors.Is(err, ErrSnapshot) {
		t.Errorf("got %v", err)
	}
}

// memory resolves names to files in memory.
func memory(files map[string][]byte, asked *[]Ref) func(Ref) (image.Source, error) {
	return func(r Ref) (image.Source, error) {
		*asked = append(*asked, r)
		b, ok := files[r.Name]
		if !ok {
			return nil, fmt.Errorf("no file %q", r.Name)
		}
		if !Detect(bytes.NewReader(b), int64(len(b))) {
			return bytes.NewReader(b), nil
		}
		opts := r.Options()
		opts.ID = r.Name
		return Open(context.Background(), bytes.NewReader(b), int64(len(b)), opts)
	}
}

func TestBacking(t *testing.T) {
	top := img{size: 70_000, bits: 12, kinds: "d-h", backing: "base"}.build()
	for _, baseSize := range []int64{0, 1, 511, 40_001, 70_000, 100_000} {
		base := make([]byte, baseSize)
		fill(rand.New(rand.NewPCG(1, 1)), base)
		var asked []Ref
		d := open(t, top.file, Options{Resolve: memory(map[string][]byte{"base": base}, &asked)})
		want := bytes.Clone(top.guest)
		for pos := int64(0); pos < d.Size(); {
			r, err := d.disk.Next(pos, d.Size())
			if err != nil {
				t.Fatal(err)
			}
			if r.Kind == disk.Absent && pos < baseSize {
				copy(want[pos:pos+r.N], base[pos:])
			}
			pos += r.N
		}
		got, err := io.ReadAll(io.NewSectionReader(d, 0, d.Size()))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("base of %d: other bytes, or %v", baseSize, err)
		}
		checkExtents(t, d, want, 0, d.Size())
		if len(asked) != 1 || asked[0].Name != "base" || asked[0].Depth != 1 || asked[0].DataFile {
			t.Errorf("asked for %+v", asked)
		}
	}
}

func TestBackingRefused(t *testing.T) {
	top := img{size: 70_000, bits: 12, backing: "/etc/passwd", exts: ext(extBackingFormat, "raw")}.build()
	_, err := Open(t.Context(), bytes.NewReader(top.file), int64(len(top.file)), Options{})
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Ref.Name != "/etc/passwd" || refused.Ref.Format != "raw" {
		t.Fatalf("got %v", err)
	}
	d := open(t, top.file, Options{MetadataOnly: true})
	if _, err := d.ReadAt(make([]byte, 1), 0); err == nil || err == io.EOF {
		t.Errorf("read: %v", err)
	}
	for _, err := range d.Extents(0, 1) {
		if err == nil {
			t.Error("extents of metadata only")
		}
	}
	if i, err := d.Info(context.Background()); err != nil || i.BackingFile != "/etc/passwd" || i.AllocatedBytes == 0 {
		t.Errorf("%+v, %v", i, err)
	}
}

func TestBackingLoops(t *testing.T) {
	a := img{size: 1000, backing: "b"}.build().file
	b := img{size: 1000, backing: "a"}.build().file
	self := img{size: 1000, backing: "self"}.build().file
	var asked []Ref
	files := map[string][]byte{"a": a, "b": b, "self": self}
	for name, file := range files {
		asked = nil
		_, err := Open(t.Context(), bytes.NewReader(file), int64(len(file)), Options{ID: name, Resolve: memory(files, &asked)})
		if !errors.Is(err, image.ErrFormat) || len(asked) > 3 {
			t.Errorf("%s: %v, asked %d times", name, err, len(asked))
		}
	}
	// Without identities the length of the chain is what ends it.
	n := 0
	var resolve func(r Ref) (image.Source, error)
	resolve = func(r Ref) (image.Source, error) {
		n++
		return Open(t.Context(), bytes.NewReader(self), int64(len(self)), r.Options())
	}
	if _, err := Open(t.Context(), bytes.NewReader(self), int64(len(self)), Options{Resolve: resolve}); !errors.Is(err, image.ErrUnsupported) || n > chain.Max+1 {
		t.Errorf("%v after %d files", err, n)
	}
}

func TestReadErrors(t *testing.T) {
	w := img{size: 60_000, kinds: "dc"}.build()
	for left := range int64(40) {
		f := &flaky{r: bytes.NewReader(w.file), left: left}
		d, err := Open(t.Context(), f, int64(len(w.file)), Options{})
		if err == nil {
			_, err = d.ReadAt(make([]byte, 60_000), 0)
		}
		if !errors.Is(err, errDevice) {
			t.Fatalf("%d reads: %v", left, err)
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
