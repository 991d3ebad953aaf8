package vmdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// checkIn is Check with a given window size, in sectors.
func checkIn(d *Disk, window int64) (CheckResult, error) {
	c := &checker{ctx: context.Background(), pages: &d.pages, window: window}
	err := c.disk(d)
	return c.CheckResult, err
}

func TestCheckClean(t *testing.T) {
	for name, m := range imgs() {
		t.Run(name, func(t *testing.T) {
			w := m.build()
			d := open(t, w.file, Options{})
			grains, compressed := int64(0), int64(0)
			for k, at := range w.grains {
				if at != 0 && int64(k)<<d.extents[0].sparse.grainBits < d.Size() {
					grains++
				}
			}
			if m.compress {
				compressed = grains
			}
			r, err := d.Check(context.Background())
			if err != nil || r.Corruptions != 0 || len(r.Problems) != 0 ||
				r.AllocatedGrains != grains || r.CompressedGrains != compressed || r.TotalGrains != int64(len(w.grains)) {
				t.Errorf("%+v, %v, want %d grains in the file", r, err, grains)
			}
			for _, window := range []int64{64, 6400} {
				if small, err := checkIn(d, window); err != nil || fmt.Sprint(small) != fmt.Sprint(r) {
					t.Errorf("%d sectors at a time: %+v, %v, want %+v", window, small, err, r)
				}
			}
		})
	}
}

func TestCheckFinds(t *testing.T) {
	w, s := small.build(), stream.build()
	double := small
	double.redundant = true
	dw := double.build()
	sectors := uint32(len(w.file) / sectorSize)
	number := func(at int64) uint32 { return uint32(at / sectorSize) }
	for _, c := range []struct {
		name        string
		img         img
		edit        func(*layout)
		corruptions int64
		text        string
	}{
		{"a grain for two places", small, put32(w.tables[0], number(w.grains[1])), 1, "the grain for sector 8 of the extent"},
		{"a grain in the middle of others", small, put32(w.tables[0], number(w.grains[1])+3), 2, "overlaps another grain"},
		{"a grain past the end", small, put32(w.tables[0], sectors), 1, "inside the file"},
		{"a grain far past the end", small, put32(w.tables[1], 1<<32-1), 1, "inside the file"},
		{"a grain in a table", small, put32(w.tables[0]+8, number(w.tables[1])), 1, "overlap"},
		{"tables differ", double, put32(dw.tables[1], 0), 1, "entry 1, at sectors"},
		{"redundant tables differ", double, put32(dw.redundant+sectorSize, 0), 1, "entry 0, at sectors"},
		{"directories differ", double, put32(dw.redundant+4, 0), 1, "grain directory entry 1"},
		{"damaged directory", double, put32(dw.directory, 1), 1, "grain directory entry 0"},
		{"damaged redundant directory", double, put32(dw.redundant, 1), 1, "grain directory entry 0"},
		{"two markers", stream, both(put64(s.grains[0], 1), put32(s.grains[2]+8, 0)), 2, "grain marker size"},
		{"a size over the next grain", stream, put32(s.grains[3]+8, uint32(s.grains[4]-s.grains[3])), 1, "overlaps another grain"},
		{"a size over a table", stream, put32(s.grains[31]+8, uint32(s.tables[0]-s.grains[31])), 1, "overlap a grain table"},
		{"compressed grains for two places", stream, put32(s.tables[0], number(s.grains[1])), 1, "grain marker"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := c.img.build()
			c.edit(w)
			d := open(t, w.file, Options{MetadataOnly: true})
			r, err := d.Check(context.Background())
			if err != nil || r.Corruptions != c.corruptions || !strings.Contains(fmt.Sprint(r.Problems), c.text) {
				t.Errorf("got %+v, %v, want %d corruptions with %q", r, err, c.corruptions, c.text)
			}
			for _, window := range []int64{64, 128, 1 << 10} {
				if r, err := checkIn(d, window); err != nil || r.Corruptions < c.corruptions {
					t.Errorf("%d sectors at a time: %+v, %v", window, r, err)
				}
			}
		})
	}
	// All corruptions are counted, but only some are listed.
	bad := small.build()
	for i := range 64 {
		put32(bad.tables[0]+4*int64(i), 1<<31)(bad)
		put32(bad.tables[1]+4*int64(i), 1<<31)(bad)
	}
	if r, err := open(t, bad.file, Options{}).Check(context.Background()); err != nil || r.Corruptions != 125 || len(r.Problems) != disk.MaxProblems {
		t.Errorf("%d corruptions and %d problems, %v", r.Corruptions, len(r.Problems), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := open(t, w.file, Options{}).Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := open(t, w.file, Options{}).Info(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled Info: %v", err)
	}
}

// TestCheckSplit checks that a problem in an extent file is reported with the file's name.
func TestCheckSplit(t *testing.T) {
	text, files, _ := splits()["all kinds"]()
	var asked []image.Ref
	d := open(t, []byte(text), Options{Resolve: memory(files, &asked)})
	if r, err := d.Check(context.Background()); err != nil || r.Corruptions != 0 || r.TotalGrains != 40+375+16 {
		t.Errorf("Check: got %+v, %v; want no corruption", r, err)
	}
	m := img{sectors: 5000, bare: true, kinds: "d", seed: 6}.build()
	put32(m.tables[0], 1<<30)(m)
	files["s001"] = m.file
	d = open(t, []byte(text), Options{Resolve: memory(files, &asked)})
	if r, err := d.Check(context.Background()); err != nil || r.Corruptions != 1 || !strings.Contains(r.Problems[0], `extent "s001"`) {
		t.Errorf("Check: got %+v, %v; want a corruption in extent \"s001\"", r, err)
	}
	flaky := imagetest.NewFlaky(bytes.NewReader(small.build().file), 5)
	d, err := Open(context.Background(), flaky, int64(len(small.build().file)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	flaky.Left.Store(1)
	if _, err := d.Check(context.Background()); !errors.Is(err, imagetest.ErrDevice) {
		t.Errorf("got %v", err)
	}
}
