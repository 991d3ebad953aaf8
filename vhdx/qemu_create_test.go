package vhdx_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/vhdx"
)

// create creates the image a.vhdx of src in dir.
func create(t testing.TB, dir string, src image.Source, o vhdx.CreateOptions) *vhdx.CreateResult {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "a.vhdx"), os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := vhdx.Create(context.Background(), f, src, o)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := f.Stat(); err != nil || s.Size() != r.FileSize {
		t.Errorf("FileSize is %d, but the file has %d bytes: %v", r.FileSize, s.Size(), err)
	}
	return r
}

// open opens a.vhdx in dir as an image.File, which reports holes.
func open(t testing.TB, dir string) *vhdx.Disk {
	t.Helper()
	raw, err := imagetest.File(t, dir, "a.vhdx")
	if err != nil {
		t.Fatal(err)
	}
	d, err := vhdx.Open(context.Background(), raw, raw.Size(), vhdx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// checkMade compares the results of Check and Info with that of Create.
func checkMade(t testing.TB, d *vhdx.Disk, r *vhdx.CreateResult) {
	t.Helper()
	c, err := d.Check(context.Background())
	if err != nil || c.Corruptions != 0 || c.AllocatedBlocks != r.Blocks || c.ImageEnd > r.FileSize {
		t.Errorf("Create: %+v; Check: %+v, %v", r, c, err)
	}
	i, err := d.Info(context.Background())
	if err != nil || len(i.Warnings) > 0 || i.Type != "dynamic" || i.BlockSize != r.BlockSize || i.LogicalSectorSize != r.SectorSize || i.VirtualSize != r.VirtualSize ||
		i.DiskID != r.ID || i.Creator != "luksimg" {
		t.Errorf("Create: %+v; Info: %+v, %v", r, i, err)
	}
}

// checkQEMU checks a.vhdx with qemu-img check and compares it with the raw disk src.
func checkQEMU(t testing.TB, dir string, r *vhdx.CreateResult) {
	t.Helper()
	need.Run(t, dir, "qemu-img", "check", "-q", "a.vhdx")
	need.Run(t, dir, "qemu-img", "compare", "-f", "raw", "-F", "vhdx", "src", "a.vhdx")
	var info struct {
		Size int64 `json:"virtual-size"`
	}
	if err := json.Unmarshal([]byte(need.Run(t, dir, "qemu-img", "info", "--output=json", "a.vhdx")), &info); err != nil || info.Size != r.VirtualSize {
		t.Errorf("qemu-img: %+v, %v", info, err)
	}
}

// TestCreated creates disks of many sizes and block sizes, and reads them with qemu-img, libvhdi,
// 7-Zip and this package.
func TestCreated(t *testing.T) {
	need.Judge(t, "qemu-img", "vhdiinfo", "7z")
	for _, o := range []vhdx.CreateOptions{{}, {BlockSize: 1 << 20}, {BlockSize: 2 << 20, SectorSize: 4096}, {BlockSize: 256 << 20}} {
		o.Jobs = 3
		for _, size := range []int64{1, 511, 512, 513, 1<<20 - 512, 1 << 20, 1<<20 + 1, 32 << 20, 33<<20 + 5000} {
			t.Run(fmt.Sprintf("%d,%d,%d", size, o.BlockSize, o.SectorSize), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				want := make([]byte, size)
				copy(want, imagetest.Mixed(t, dir, "src", min(size, 1<<20), uint64(size)+5))
				copy(want[max(0, size-70_000):], "near the end")
				want[size-1] = 7
				r := create(t, dir, bytes.NewReader(want), o)
				want = append(want, make([]byte, -size&(r.SectorSize-1))...)
				if err := os.WriteFile(filepath.Join(dir, "src"), want, 0o600); err != nil {
					t.Fatal(err)
				}
				if r.VirtualSize != int64(len(want)) {
					t.Errorf("virtual size %d, want %d", r.VirtualSize, len(want))
				}
				if r.SectorSize == 512 { // QEMU supports no other size
					checkQEMU(t, dir, r)
				}
				if out := need.Run(t, dir, "vhdiinfo", "a.vhdx"); !strings.Contains(out, fmt.Sprintf("(%d bytes)", len(want))) && !strings.Contains(out, fmt.Sprintf(": %d bytes", len(want))) {
					t.Errorf("vhdiinfo: %s", out)
				}
				if r.VirtualSize%(2*r.SectorSize) == 0 { // 7-Zip refuses odd numbers of sectors, even from QEMU
					if got := need.Run(t, dir, "7z", "x", "-so", "-tvhdx", "a.vhdx"); got != string(want) {
						t.Errorf("7-Zip reads %d bytes, want %d, or the data differs", len(got), len(want))
					}
				}
				d := open(t, dir)
				imagetest.Source(t, d, want)
				checkMade(t, d, r)
			})
		}
	}
}
