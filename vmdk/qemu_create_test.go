package vmdk_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/vmdk"
)

// create creates the image a.vmdk of src in dir.
func create(t testing.TB, dir string, src image.Source, o vmdk.CreateOptions) *vmdk.CreateResult {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "a.vmdk"), os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := vmdk.Create(context.Background(), f, src, o)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := f.Stat(); err != nil || s.Size() != r.FileSize {
		t.Errorf("FileSize %d, want %d: %v", r.FileSize, s.Size(), err)
	}
	return r
}

// sizes are disk sizes around the boundaries of sectors, grains, batches and grain tables.
var sizes = []int64{1, 511, 512, 513, 65535, 65536, 65537, 1<<20 - 512, 1<<20 + 1, 32 << 20, 32<<20 + 513}

// TestCreated reads created disks of all sizes with qemu-img, libvmdk, 7-Zip and this package.
func TestCreated(t *testing.T) {
	need.Judge(t, "qemu-img", "vmdkinfo", "7z")
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			want := make([]byte, size)
			copy(want, imagetest.Mixed(t, dir, "src", min(size, 2<<20), uint64(size)+5))
			copy(want[max(0, size-70_000):], "near the end")
			want[size-1] = 7
			r := create(t, dir, bytes.NewReader(want), vmdk.CreateOptions{Jobs: 3})
			want = append(want, make([]byte, -size&511)...)
			if err := os.WriteFile(filepath.Join(dir, "src"), want, 0o600); err != nil {
				t.Fatal(err)
			}
			if r.VirtualSize != int64(len(want)) {
				t.Errorf("virtual size %d, want %d", r.VirtualSize, len(want))
			}
			need.Run(t, dir, "qemu-img", "check", "-q", "a.vmdk")
			need.Run(t, dir, "qemu-img", "compare", "-f", "raw", "-F", "vmdk", "src", "a.vmdk")
			if got := need.Run(t, dir, "7z", "x", "-so", "-tvmdk", "a.vmdk"); got != string(want) {
				t.Errorf("7-Zip read %d bytes, want %d, or the data differs", len(got), len(want))
			}
			if out := need.Run(t, dir, "vmdkinfo", "a.vmdk"); !strings.Contains(out, fmt.Sprintf("%d bytes", len(want))) || !strings.Contains(out, r.CID) {
				t.Errorf("vmdkinfo: %s", out)
			}
			d, err := openFile(t, dir, "a.vmdk", vmdk.Options{})
			if err != nil {
				t.Fatal(err)
			}
			imagetest.Source(t, d, want)
			c, err := d.Check(context.Background())
			if err != nil || c.Corruptions != 0 || c.AllocatedGrains != r.AllocatedGrains || c.CompressedGrains != r.AllocatedGrains {
				t.Errorf("CreateResult %+v, but Check returns %+v, %v", r, c, err)
			}
			if i, err := d.Info(context.Background()); err != nil || len(i.Warnings) > 0 || i.CreateType != "streamOptimized" || i.CID != r.CID || !i.Compressed {
				t.Errorf("Info: got %+v, %v", i, err)
			}
		})
	}
}
