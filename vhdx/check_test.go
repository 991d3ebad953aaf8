package vhdx

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/disk"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// long returns an image in a file of 128 TiB whose table is too large for Open to check whole.
func long(parent bool) *layout {
	c := img{size: 4 * mib, states: "d"}
	if parent {
		c.base = newMemFile(mib)
	}
	w := c.build()
	w.put64(w.items[diskSizeGUID], 3<<40)
	w.batLen, w.bat = 32*mib, w.size0()
	w.memFile.size = 1 << 47
	w.putRegions()
	return w
}

func TestCheck(t *testing.T) {
	const tib = 1 << 40
	entry := func(w *layout, block int64) int64 { return w.bat + 8*w.m.index(block) }
	for _, c := range []struct {
		name     string
		parent   bool
		edit     func(w *layout)
		blocks   int64
		bitmaps  int64
		problems []string
	}{
		{"nothing", false, func(w *layout) {}, 0, 0, nil},
		{"blocks far away", false, func(w *layout) {
			for i := range int64(5) {
				w.put64(entry(w, i*100_000), uint64((1+i*20)*tib)|statePresent)
			}
		}, 5, 0, nil},
		{"overlap near the start", false, func(w *layout) {
			w.put64(entry(w, 5), tib|statePresent)
			w.put64(entry(w, 2_000_000), tib|statePresent)
		}, 2, 0, []string{"entry 2000488 at offset 1099511627776 of the file overlaps"}},
		{"overlap far away", false, func(w *layout) {
			w.put64(entry(w, 5), 100*tib|statePresent)
			w.put64(entry(w, 6), 70*tib|statePresent)
			w.put64(entry(w, 7), 100*tib|statePresent)
		}, 3, 0, []string{"entry 7 at offset 109951162777600 of the file overlaps"}},
		{"entries that are wrong by themselves", false, func(w *layout) {
			w.put64(entry(w, 5), 4)
			w.put64(entry(w, 6), 1<<48|statePresent)
			w.put64(entry(w, 7), uint64(w.bat)|statePresent)
			w.put64(w.bat+8*w.m.bitmapIndex(0), tib|statePresent)
		}, 0, 0, []string{"state 0, 1, 2, 3, 6 or 7", "inside the file", "the block allocation table", "state 0, as the disk has no parent"}},
		{"bitmaps", true, func(w *layout) {
			w.put64(entry(w, 5), 2*tib|statePartial)
			w.put64(w.bat+8*w.m.bitmapIndex(0), 3*tib|statePresent)
		}, 1, 1, nil},
		{"no bitmap", true, func(w *layout) { w.put64(entry(w, 5), 2*tib|statePartial) }, 0, 0, []string{"block 5 is partially present"}},
		{"bitmap in a block", true, func(w *layout) {
			w.put64(entry(w, 5), 2*tib|statePartial)
			w.put64(w.bat+8*w.m.bitmapIndex(0), 2*tib|statePresent)
		}, 1, 1, []string{"overlaps another block"}},
		{"many problems", false, func(w *layout) {
			for i := range int64(300) {
				w.put64(entry(w, i), 5)
			}
		}, 0, 0, make([]string, 300)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := long(c.parent)
			c.edit(w)
			d, err := w.open(Options{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := d.Check(context.Background())
			if err != nil || r.Corruptions != int64(len(c.problems)) || r.AllocatedBlocks != c.blocks || r.BitmapBlocks != c.bitmaps || r.TotalBlocks != 3<<20 {
				t.Fatalf("%+v, %v", r, err)
			}
			if len(r.Problems) != min(len(c.problems), disk.MaxProblems) {
				t.Errorf("%d problems, want 100", len(r.Problems))
			}
			for i, p := range r.Problems {
				if !strings.HasPrefix(p, "ERROR ") || !strings.Contains(p, c.problems[i]) {
					t.Errorf("%q lacks %q", p, c.problems[i])
				}
			}
			i, err := d.Info(context.Background())
			if len(c.problems) == 0 && (err != nil || i.AllocatedBytes != c.blocks*mib) {
				t.Errorf("%+v, %v", i, err)
			}
		})
	}
}

// TestCheckDeviceError checks that a read error is returned and is not a problem of the image.
func TestCheckDeviceError(t *testing.T) {
	w := long(false)
	f := imagetest.NewFlaky(w.memFile, 1<<30)
	d, err := Open(context.Background(), f, w.memFile.size, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f.Left.Store(3)
	if r, err := d.Check(context.Background()); !errors.Is(err, imagetest.ErrDevice) || r.Corruptions != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
