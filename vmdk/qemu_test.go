package vmdk_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/vmdk"
)

// openFile opens an image in dir and detects the holes of its files. It opens named files only in that
// folder.
func openFile(t testing.TB, dir, name string, opts vmdk.Options) (*vmdk.Disk, error) {
	t.Helper()
	raw, err := imagetest.File(t, dir, name)
	if err != nil {
		t.Fatal(err)
	}
	opts.ID = name
	opts.Resolve = func(ref image.Ref) (image.Source, error) {
		raw, err := imagetest.File(t, dir, ref.Name())
		if err != nil || ref.What != "parent disk" {
			return raw, err
		}
		opts := ref.Options.(vmdk.Options)
		opts.ID = ref.Name()
		return vmdk.Open(context.Background(), raw, raw.Size(), opts)
	}
	return vmdk.Open(context.Background(), raw, raw.Size(), opts)
}

func checkClean(t testing.TB, d *vmdk.Disk) {
	t.Helper()
	if r, err := d.Check(context.Background()); err != nil || r.Corruptions != 0 {
		t.Errorf("Check: %+v, %v", r, err)
	}
}

func rawOf(t testing.TB, dir, name string) []byte {
	t.Helper()
	need.Run(t, dir, "qemu-img", "convert", "-O", "raw", name, "out.raw")
	b, err := os.ReadFile(filepath.Join(dir, "out.raw"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestQEMUConvert reads images that qemu-img writes.
func TestQEMUConvert(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	dir := t.TempDir()
	want := imagetest.Mixed(t, dir, "in.raw", 9<<20+512, 1)
	for i, c := range []struct{ opts, createType, adapter, hw string }{
		{"subformat=monolithicSparse", "monolithicSparse", "ide", "4"},
		{"subformat=monolithicSparse,compat6", "monolithicSparse", "ide", "6"},
		{"subformat=monolithicSparse,adapter_type=lsilogic", "monolithicSparse", "lsilogic", "4"},
		{"subformat=monolithicSparse,adapter_type=buslogic,hwversion=11", "monolithicSparse", "buslogic", "11"},
		{"subformat=monolithicSparse,zeroed_grain=on", "monolithicSparse", "ide", "4"},
		{"subformat=monolithicFlat", "monolithicFlat", "ide", "4"},
		{"subformat=monolithicFlat,adapter_type=legacyESX", "monolithicFlat", "legacyESX", "4"},
		{"subformat=twoGbMaxExtentSparse", "twoGbMaxExtentSparse", "ide", "4"},
		{"subformat=twoGbMaxExtentSparse,zeroed_grain=on", "twoGbMaxExtentSparse", "ide", "4"},
		{"subformat=twoGbMaxExtentFlat", "twoGbMaxExtentFlat", "ide", "4"},
		{"subformat=streamOptimized", "streamOptimized", "ide", "4"},
		{"subformat=streamOptimized,compat6", "streamOptimized", "ide", "6"},
		{"subformat=streamOptimized,adapter_type=lsilogic", "streamOptimized", "lsilogic", "4"},
	} {
		t.Run(c.opts, func(t *testing.T) {
			name := fmt.Sprintf("disk%d.vmdk", i)
			need.Run(t, dir, "qemu-img", "convert", "-O", "vmdk", "-o", c.opts, "in.raw", name)
			d, err := openFile(t, dir, name, vmdk.Options{})
			if err != nil {
				t.Fatal(err)
			}
			imagetest.Source(t, d, want)
			checkClean(t, d)
			info, err := d.Info(context.Background())
			if err != nil || info.CreateType != c.createType || info.AdapterType != c.adapter || info.HWVersion != c.hw || len(info.Warnings) > 0 {
				t.Errorf("Info: got %+v, %v", info, err)
			}
		})
	}
}

// TestQEMUWrites reads disks that a guest wrote to, with several extents of 2 GB and with zero grains.
func TestQEMUWrites(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	for _, opts := range []string{
		"subformat=monolithicSparse", "subformat=monolithicSparse,zeroed_grain=on", "subformat=monolithicFlat",
		"subformat=twoGbMaxExtentSparse,zeroed_grain=on", "subformat=twoGbMaxExtentFlat",
	} {
		t.Run(opts, func(t *testing.T) {
			dir := t.TempDir()
			const size = int64(5 << 30)
			need.Run(t, dir, "qemu-img", "create", "-f", "vmdk", "-o", opts, "disk.vmdk", fmt.Sprint(size))
			rnd := rand.New(rand.NewPCG(7, 7))
			places := []int64{0, 2<<30 - 65536, 4<<30 - 4096, size - 100_352}
			args := []string{"-f", "vmdk"}
			type write struct {
				off, n int64
				b      byte
			}
			var writes []write
			for i := range 40 {
				w := write{places[i%len(places)] + rnd.Int64N(90_000)&^511, 512 * (1 + rnd.Int64N(20)), byte(1 + rnd.IntN(255))}
				w.n = min(w.n, size-w.off)
				if i%5 == 4 {
					w.off, w.n, w.b = w.off&^65535, 65536, 0
					w.n = min(w.n, size-w.off)
					args = append(args, "-c", fmt.Sprintf("write -z %d %d", w.off, w.n))
				} else {
					args = append(args, "-c", fmt.Sprintf("write -P %d %d %d", w.b, w.off, w.n))
				}
				writes = append(writes, w)
			}
			need.Run(t, dir, "qemu-io", append(args, "disk.vmdk")...)
			d, err := openFile(t, dir, "disk.vmdk", vmdk.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if d.Size() != size {
				t.Fatalf("size %d", d.Size())
			}
			for _, at := range places {
				start := max(at-200_000, 0)
				want := make([]byte, min(at+300_000, size)-start)
				for _, w := range writes {
					from, to := max(w.off, start), min(w.off+w.n, start+int64(len(want)))
					for p := from; p < to; p++ {
						want[p-start] = w.b
					}
				}
				got := make([]byte, len(want))
				if _, err := d.ReadAt(got, start); err != nil && err != io.EOF || !bytes.Equal(got, want) {
					t.Errorf("read at %d: the data differs, or error %v", start, err)
				}
			}
			holes := int64(0)
			for e, err := range image.Extents(d, 0, size) {
				if err != nil {
					t.Fatal(err)
				}
				if e.Kind == image.Hole {
					holes += e.Length
				}
			}
			// Without hole detection, a flat file is all data.
			if holes < size/2 && !strings.Contains(opts, "Flat") {
				t.Errorf("%d bytes in holes", holes)
			}
		})
	}
}

// TestQEMUBacking reads a chain of delta disks.
func TestQEMUBacking(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	dir := t.TempDir()
	imagetest.Mixed(t, dir, "in.raw", 7<<20, 3)
	need.Run(t, dir, "qemu-img", "convert", "-O", "vmdk", "in.raw", "base.vmdk")
	need.Run(t, dir, "qemu-img", "create", "-f", "vmdk", "-F", "vmdk", "-b", "base.vmdk", "mid.vmdk")
	need.Run(t, dir, "qemu-io", "-f", "vmdk", "-c", "write -P 77 100k 300k", "-c", "write -P 78 3M 1k", "mid.vmdk")
	need.Run(t, dir, "qemu-img", "create", "-f", "vmdk", "-F", "vmdk", "-b", "mid.vmdk", "-o", "zeroed_grain=on", "top.vmdk")
	need.Run(t, dir, "qemu-io", "-f", "vmdk", "-c", "write -z 128k 256k", "-c", "write -P 79 5M 1M", "top.vmdk")
	want := rawOf(t, dir, "top.vmdk")
	d, err := openFile(t, dir, "top.vmdk", vmdk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	imagetest.Source(t, d, want)
	checkClean(t, d)
	info, err := d.Info(context.Background())
	if err != nil || info.ParentFile != "mid.vmdk" || info.ParentCID == "" {
		t.Errorf("Info: got %+v, %v", info, err)
	}
	// A child must be refused if its parent was changed after the child was created.
	need.Run(t, dir, "qemu-io", "-f", "vmdk", "-c", "write -P 1 0 512", "mid.vmdk")
	if _, err := openFile(t, dir, "top.vmdk", vmdk.Options{}); err == nil || !strings.Contains(err.Error(), "parentCID") {
		t.Errorf("changed parent: %v", err)
	}
}
