package vhdx_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/faultfs"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/vhdx"
)

// made returns the file that Create makes of src, and its result.
func made(t testing.TB, src image.Source, o vhdx.CreateOptions) ([]byte, *vhdx.CreateResult) {
	t.Helper()
	d := faultfs.New()
	d.WriteFile("a", nil)
	r, err := vhdx.Create(context.Background(), d.Open("a"), src, o)
	if err != nil {
		t.Fatal(err)
	}
	return d.ReadFile("a"), r
}

// TestCreateDeterministic checks that one ID gives one file for any number of workers, and that
// random IDs give different files.
func TestCreateDeterministic(t *testing.T) {
	src := imagetest.NewPatchy(5<<20, 4)
	id := [16]byte{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0x4d, 0xef, 0x81, 2, 3, 4, 5, 6, 7, 8}
	first, r := made(t, src, vhdx.CreateOptions{BlockSize: 1 << 20, ID: id, Jobs: 1})
	if r.ID != "12345678-9abc-4def-8102-030405060708" {
		t.Errorf("ID %s", r.ID)
	}
	for _, jobs := range []int{2, 5} {
		if got, _ := made(t, src, vhdx.CreateOptions{BlockSize: 1 << 20, ID: id, Jobs: jobs}); !bytes.Equal(got, first) {
			t.Errorf("%d workers write a different file", jobs)
		}
	}
	a, ra := made(t, src, vhdx.CreateOptions{})
	b, rb := made(t, src, vhdx.CreateOptions{})
	if ra.ID == rb.ID || ra.ID[14] != '4' || !strings.Contains("89ab", ra.ID[19:20]) || bytes.Equal(a[64<<10:68<<10], b[64<<10:68<<10]) {
		t.Errorf("the IDs are %s and %s, or the headers are the same", ra.ID, rb.ID)
	}
}

// TestCreateIsSparse checks that Create skips zeros that the source does not report: whole blocks,
// and runs in blocks with data.
func TestCreateIsSparse(t *testing.T) {
	b := make([]byte, 64<<20)
	b[40<<20] = 1
	dir := t.TempDir()
	r := create(t, dir, bytes.NewReader(b), vhdx.CreateOptions{})
	if r.Blocks != 1 || r.FileSize != 4<<20+32<<20 {
		t.Errorf("%+v", r)
	}
	d := open(t, dir)
	imagetest.Source(t, d, b)
	checkMade(t, d, r)
	var kinds []image.Extent
	for e, err := range image.Extents(d, 0, d.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, e)
	}
	if i := slices.IndexFunc(kinds, func(e image.Extent) bool { return e.Kind == image.Data }); i < 0 || kinds[i].Offset != 40<<20 || kinds[i].Length > 64<<10 {
		t.Errorf("extents %v", kinds)
	}
}

// TestCreateHuge creates disks with little data, up to the maximum size.
func TestCreateHuge(t *testing.T) {
	for _, size := range []int64{2 << 40, 64 << 40} {
		text := func(b byte) string { return string(bytes.Repeat([]byte{b}, 512)) }
		src := imagetest.Spots{Bytes: size, Data: map[int64]string{0: text('a'), 5<<30 + 512: text('b'), size - 40<<20: text('c'), size - 512: text('d')}}
		var done atomic.Int64
		dir := t.TempDir()
		r := create(t, dir, src, vhdx.CreateOptions{Progress: func(n int64) { done.Add(n) }})
		// The table has 8 bytes per block, and one more entry per 128 blocks.
		if most := int64(4+4*32+17) << 20; done.Load() != size || r.Blocks != 4 || r.VirtualSize != size || r.FileSize > most {
			t.Errorf("%+v, progress %d", r, done.Load())
		}
		d := open(t, dir)
		checkMade(t, d, r)
		reads := []string{"-r", "-f", "vhdx", "-c", "read -P 0 1M 1M"}
		for off, want := range src.Data {
			got := make([]byte, min(1024, size-off))
			if _, err := d.ReadAt(got, off); err != nil || string(got[:512]) != want || len(bytes.Trim(got[512:], "\x00")) > 0 {
				t.Errorf("at %d: %q, %v", off, got, err)
			}
			reads = append(reads, "-c", fmt.Sprintf("read -P %d %d 512", want[0], off))
		}
		if !testing.Short() {
			need.Program(t, "qemu-io")
			if out := need.Run(t, dir, "qemu-io", append(reads, "a.vhdx")...); strings.Contains(out, "failed") || strings.Count(out, "read 512/512") != 4 {
				t.Error(out)
			}
		}
	}
}

// numbers yields the numbers of the first n blocks.
func numbers(n int64) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for i := int64(0); i < n && yield(i); i++ {
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	for _, c := range []struct {
		size int64
		o    vhdx.CreateOptions
		want error
	}{
		{512, vhdx.CreateOptions{BlockSize: 512 << 10}, nil},
		{512, vhdx.CreateOptions{BlockSize: 3 << 20}, nil},
		{512, vhdx.CreateOptions{BlockSize: 512 << 20}, nil},
		{512, vhdx.CreateOptions{BlockSize: -1 << 20}, nil},
		{512, vhdx.CreateOptions{SectorSize: 1024}, nil},
		{0, vhdx.CreateOptions{}, nil}, // qemu-img does not open an empty disk
		{64<<40 + 1, vhdx.CreateOptions{}, image.ErrTooLarge},
	} {
		d := faultfs.New()
		d.WriteFile("a", nil)
		_, err := vhdx.Create(t.Context(), d.Open("a"), imagetest.Spots{Bytes: c.size}, c.o)
		if err == nil || len(d.ReadFile("a")) > 0 || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%d bytes, %+v: %v", c.size, c.o, err)
		}
		if _, err := vhdx.CreateSize(c.size, numbers(0), c.o); err == nil {
			t.Errorf("%d bytes, %+v: CreateSize succeeded", c.size, c.o)
		}
	}
	if _, err := vhdx.CreateSize(64<<20, numbers(3), vhdx.CreateOptions{}); err == nil {
		t.Error("CreateSize accepts more blocks than the disk has")
	}
	if n, err := vhdx.CreateSize(64<<40, numbers(2<<20), vhdx.CreateOptions{}); err != nil || n != 3<<20+17<<20+64<<40 {
		t.Errorf("all blocks: %d, %v", n, err)
	}
}
