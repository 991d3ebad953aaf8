package vhdx

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
)

// source creates a raw disk with noise and holes.
func source(t testing.TB, dir, name string, size int64, seed uint64) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(seed, 11))
	for range 12 {
		if size == 0 {
			break
		}
		off := rnd.Int64N(size)
		b := make([]byte, min(rnd.Int64N(300_000)+1, size-off))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		if _, err := f.WriteAt(b, off); err != nil {
			t.Fatal(err)
		}
	}
}

// openFile opens an image as an image.File, which reports holes.
func openFile(t testing.TB, dir, name string) *Disk {
	t.Helper()
	raw, err := imagetest.File(t, dir, name)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(context.Background(), raw, raw.Size(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// compareFile compares a disk with a raw file.
func compareFile(t *testing.T, d *Disk, dir, name string) {
	t.Helper()
	raw, err := imagetest.File(t, dir, name)
	if err != nil {
		t.Fatal(err)
	}
	imagetest.Like(t, d, raw)
	if r, err := d.Check(context.Background()); err != nil || r.Corruptions != 0 {
		t.Errorf("Check: %+v, %v", r, err)
	}
}

// TestQEMU reads images that qemu-img writes.
func TestQEMU(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	n := 0
	for _, size := range []int64{0, 512, 1 << 20, 3<<20 + 512, 33<<20 + 1024, 70<<20 - 512} {
		for _, opts := range []string{
			"subformat=dynamic", "subformat=fixed", "subformat=dynamic,block_size=1M", "subformat=dynamic,block_size=2M,block_state_zero=off",
			"subformat=dynamic,block_size=256M", "subformat=fixed,block_size=32M", "subformat=dynamic,block_size=4M,log_size=4M",
		} {
			if size == 0 && strings.Contains(opts, "256M") {
				continue // qemu-img cannot make this one
			}
			n++
			t.Run(fmt.Sprintf("%d %s", size, opts), func(t *testing.T) {
				dir := t.TempDir()
				source(t, dir, "raw", size, uint64(size))
				need.Run(t, dir, "qemu-img", "convert", "-f", "raw", "-O", "vhdx", "-o", opts, "raw", "disk")
				d := openFile(t, dir, "disk")
				compareFile(t, d, dir, "raw")
				i, err := d.Info(context.Background())
				if err != nil || i.Type == "fixed" != strings.Contains(opts, "fixed") || len(i.Warnings) != 0 || !strings.HasPrefix(i.Creator, "QEMU") {
					t.Errorf("%+v, %v", i, err)
				}
			})
		}
	}
	if n < 41 {
		t.Errorf("%d images", n)
	}
}

// TestQEMUWrites reads an image that a guest of QEMU wrote to repeatedly.
func TestQEMUWrites(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	dir := t.TempDir()
	const size = 40 << 20
	need.Run(t, dir, "qemu-img", "create", "-f", "vhdx", "-o", "block_size=1M", "disk", fmt.Sprint(size))
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 3 {
		args := []string{"-f", "vhdx"}
		for range 10 {
			off, n := rnd.Int64N(size-300_000)&^511, 512+rnd.Int64N(299_000)&^511
			args = append(args, "-c", fmt.Sprintf("write -P %d %d %d", 1+rnd.IntN(255), off, n))
		}
		need.Run(t, dir, "qemu-io", append(args, "disk")...)
		need.Run(t, dir, "qemu-img", "convert", "-f", "vhdx", "-O", "raw", "disk", "raw")
		compareFile(t, openFile(t, dir, "disk"), dir, "raw")
	}
}

// writeFile writes a file with holes.
func (w *layout) writeFile(t testing.TB, dir, name string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(w.memFile.size); err != nil {
		t.Fatal(err)
	}
	for k, b := range w.parts {
		if n := min(partSize, w.memFile.size-k*partSize); n > 0 {
			if _, err := f.WriteAt(b[:n], k*partSize); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// notInQEMU lists variants that QEMU 7.2 does not read, or not as specified.
var notInQEMU = map[string]string{
	"empty log of a later version":                     "refuses it, although the log is empty",
	"first region table damaged":                       "only reads the first one",
	"locator of a disk without a parent":               "refuses any locator",
	"log: region tables":                               "reads them before the log is replayed",
	"log: padded entries":                              "looks for the next entry behind the data",
	"log: more descriptors than a sector has room for": "reads all sectors of descriptors into the first",
	"log: file grows to LastFileOffset":                "only makes the file longer if the offset is no multiple of 1 MiB",
	"log: older entries of the same log":               "does not look at the tail of the newest entry",
	"log: tail in the middle of what is there":         "likewise",
	"log: torn in its middle":                          "likewise",
	"log: sequence without its tail is newer":          "likewise",
	"no log": "needs one",
}

// TestQEMUDirtyLog reads images that QEMU could not finish writing, so that their log must be
// replayed.
func TestQEMUDirtyLog(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	for _, block := range []int{1, 4} {
		dir := t.TempDir()
		need.Run(t, dir, "qemu-img", "create", "-q", "-f", "vhdx", "-o", fmt.Sprintf("block_size=%dM", block), "disk", "20M")
		need.Run(t, dir, "qemu-io", "-f", "vhdx", "-c", "write -P 3 0 1M", "disk")
		// The first write to the table fails after it is in the log.
		bat := openFile(t, dir, "disk").bat.off
		cmd := exec.Command("qemu-io", "-c", "open -o driver=vhdx,file.driver=blkdebug,file.image.driver=file,file.image.filename=disk,"+
			fmt.Sprintf("file.inject-error.0.event=none,file.inject-error.0.iotype=write,file.inject-error.0.sector=%d,file.inject-error.0.once=on", bat/512),
			"-c", "write -P 5 9M 64k")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("Input/output error")) {
			t.Fatalf("the write did not fail: %v\n%s", err, out)
		}
		d := openFile(t, dir, "disk")
		i, err := d.Info(context.Background())
		if err != nil || !i.LogReplayed || len(i.Warnings) != 1 || i.AllocatedBytes != 2*int64(block)*mib {
			t.Errorf("%+v, %v", i, err)
		}
		need.Run(t, dir, "cp", "disk", "repaired")
		need.Run(t, dir, "qemu-img", "check", "-f", "vhdx", "-r", "all", "repaired")
		need.Run(t, dir, "qemu-img", "convert", "-f", "vhdx", "-O", "raw", "repaired", "raw")
		compareFile(t, d, dir, "raw")
	}
}

// TestQEMUReads reads the variants that QEMU supports with QEMU, which replays their logs. That
// validates the builder of these tests.
func TestQEMUReads(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	n := 0
	for _, v := range variants() {
		// QEMU reads neither differencing disks nor logical sectors of 4096 bytes.
		if v.img.base != nil || v.img.sector == 4096 || v.img.size > gib || v.img.size == 0 || notInQEMU[v.name] != "" {
			continue
		}
		w := v.img.build()
		if v.edit != nil {
			v.edit(w)
		}
		n++
		t.Run(v.name, func(t *testing.T) {
			dir := t.TempDir()
			w.writeFile(t, dir, "disk")
			d := openFile(t, dir, "disk")
			need.Run(t, dir, "cp", "disk", "repaired")
			if d.log != nil {
				need.Run(t, dir, "qemu-img", "check", "-f", "vhdx", "-r", "all", "repaired")
			}
			need.Run(t, dir, "qemu-img", "convert", "-f", "vhdx", "-O", "raw", "repaired", "raw")
			compareFile(t, d, dir, "raw")
		})
	}
	if n < 25 {
		t.Errorf("%d variants", n)
	}
}
