package vhdx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

func TestDetect(t *testing.T) {
	w := img{size: mib}.build()
	if !Detect(w, w.memFile.size) {
		t.Error("Detect rejects the image")
	}
	if Detect(w, mib-1) || Detect(strings.NewReader("vhdxfile"), 8) || Detect(newMemFile(mib), mib) || Detect(imagetest.Failing{}, mib) {
		t.Error("Detect accepts a file without the signature")
	}
}

func TestInfo(t *testing.T) {
	for _, c := range []struct {
		img  img
		want string
	}{
		{img{size: 5*mib + 512, states: "d.zU", creator: "Ünit 1"}, "dynamic 5243392 3145728 1048576 512 4096 Ünit 1"},
		{img{size: 2 * mib, states: "d", fixed: true, sector: 4096}, "fixed 2097152 2097152 1048576 4096 4096 "},
		{img{size: 3*mib + 1024, states: "d", block: 2 * mib, physical: 512}, "dynamic 3146752 3146752 2097152 512 512 "},
	} {
		w := c.img.build()
		d, err := w.open(Options{})
		if err != nil {
			t.Fatal(err)
		}
		i, err := d.Info(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(i.Type, " ", i.VirtualSize, " ", i.AllocatedBytes, " ", i.BlockSize, " ", i.LogicalSectorSize, " ", i.PhysicalSectorSize, " ", i.Creator)
		if got != c.want || i.DiskID != testID.String() || i.FileSize != w.memFile.size || i.LogReplayed || i.Parent != nil {
			t.Errorf("%s, want %s; %+v", got, c.want, i)
		}
		r, err := d.Check(context.Background())
		if err != nil || r.TotalBlocks != w.m.blocks() || r.ImageEnd <= w.memFile.size-w.block || r.ImageEnd > w.memFile.size || r.AllocatedBlocks == 0 || r.Corruptions != 0 {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

// holey is a file that reports holes: every second 64 KiB.
type holey struct{ *memFile }

func (h holey) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		// It yields whole extents, which reach beyond the requested range.
		for at := off &^ (partSize - 1); at < off+n; at += partSize {
			kind := image.Data
			if at&partSize != 0 {
				kind = image.Hole
			}
			if !yield(image.Extent{Offset: at, Length: partSize, Kind: kind}, nil) {
				return
			}
		}
	}
}

// TestExtents checks the kinds of the parts of a disk.
func TestExtents(t *testing.T) {
	base := newMemFile(6*mib + 512)
	for _, c := range []struct {
		name  string
		img   img
		holes bool // the file reports holes
		edit  func(w *layout)
		want  string
	}{
		{"states", img{size: 8 * mib, states: ".uzmUZMd"}, false, nil, "hole 4, zero 3, data 1"},
		{"holes of the file", img{size: 2 * mib, states: "d"}, true, nil, strings.TrimSuffix(strings.Repeat("data 0.0625, hole 0.0625, ", 16), ", ")},
		{"holes and a log", img{size: 2 * mib, states: "d"}, true, func(w *layout) {
			// A change in a hole is data.
			w.putLog(0, 5, logEntry{changes: []change{noise(w.blocks[0] + 65536 + 8192)}})
		}, "data 0.0625, hole 0.0078125, data 0.00390625, hole 0.05078125, " + strings.TrimSuffix(strings.Repeat("data 0.0625, hole 0.0625, ", 15), ", ")},
		{"parent", img{size: 8 * mib, states: ".", base: base}, false, nil, "data 6.00048828125, hole 1.99951171875"},
		{"parent and blocks", img{size: 8 * mib, states: ".dz.", base: base}, false, nil, "data 2, hole 1, data 3, hole 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := c.img.build()
			if c.edit != nil {
				c.edit(w)
			}
			var r io.ReaderAt = w.memFile
			if c.holes {
				r = holey{w.memFile}
			}
			d, err := Open(context.Background(), r, w.memFile.size, Options{Resolve: func(image.Ref) (image.Source, error) { return base, nil }})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for e, err := range d.Extents(0, d.Size()) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprint(e.Kind, " ", float64(e.Length)/mib))
			}
			// Extents without Merge joins neighbours only within a run.
			merged := []string{}
			for e, err := range image.Extents(d, 0, d.Size()) {
				if err != nil {
					t.Fatal(err)
				}
				merged = append(merged, fmt.Sprint(e.Kind, " ", float64(e.Length)/mib))
			}
			if a, b := strings.Join(got, ", "), strings.Join(merged, ", "); a != c.want && b != c.want {
				t.Errorf("%s or %s, want %s", a, b, c.want)
			}
			n := int64(0)
			for e, err := range d.Extents(mib+7, 2*mib) {
				if err != nil || e.Offset != mib+7+n {
					t.Fatalf("%+v, %v", e, err)
				}
				n += e.Length
			}
			if n != min(2*mib, d.Size()-mib-7) {
				t.Errorf("%d bytes of extents", n)
			}
		})
	}
}

// TestConcurrent reads a disk in many goroutines, for the race detector. Pages of the table and of
// bitmaps evict each other.
func TestConcurrent(t *testing.T) {
	base := img{size: 40 * mib, states: "d.", seed: 9}.build().want
	w := img{size: 40 * mib, base: base, states: "p.dp", shuffle: true}.build()
	w.putLog(4096, 9, logEntry{changes: w.steal(w.bat, w.bitmaps[0])})
	d, err := w.open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { imagetest.Like(t, d, written{w.want}) })
	}
	wg.Wait()
}

// TestReadErrors makes each read fail in turn, and checks that the error is that of the device.
func TestReadErrors(t *testing.T) {
	base := newMemFile(3 * mib)
	w := img{size: 3 * mib, base: base, states: "pd"}.build()
	w.putLog(mib-4096, 9, logEntry{changes: w.steal(w.bat, w.bitmaps[0])}, logEntry{})
	imagetest.ReadErrors(t, w.memFile, w.want.get(0, 3*mib), 15, func(r io.ReaderAt) (image.Source, error) {
		return Open(context.Background(), r, w.memFile.size, Options{Resolve: func(image.Ref) (image.Source, error) { return base, nil }})
	})
}

// TestFileShrinks checks that truncating the file after Open is an error, not the end of the disk.
func TestFileShrinks(t *testing.T) {
	w := img{size: 3 * mib, states: "d"}.build()
	d, err := w.open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.memFile.size -= 2 * mib
	if n, err := d.ReadAt(make([]byte, 3*mib), 0); n != mib || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d, %v", n, err)
	}
}
