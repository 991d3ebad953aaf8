package vhd

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
)

// tableLast moves the block allocation table and the batmap from the front to the end of the file,
// after the blocks. It clears the old place.
func tableLast(file []byte, tableBytes, batmapBytes int) []byte {
	n := tableBytes
	if batmapBytes > 0 {
		n += sectorSize + batmapBytes
	}
	end := len(file) - footerSize
	moved := bytes.Clone(file[smallTable:][:n])
	if batmapBytes > 0 {
		be.PutUint64(moved[tableBytes+offBatmapOffset:], uint64(end+tableBytes+sectorSize))
	}
	for i := range n {
		file[smallTable+i] = 0x5a
	}
	editHeader(file, func(h []byte) { be.PutUint64(h[offTableOffset:], uint64(end)) })
	return append(append(bytes.Clone(file[:end]), moved...), file[end:]...)
}

// TestTableBehindBlocks reads disks whose table follows the blocks: the specification gives no
// order.
func TestTableBehindBlocks(t *testing.T) {
	base := random(8 * 4096)
	for name, c := range map[string]struct {
		testDisk
		batmap int
	}{
		"dynamic":      {testDisk{size: 8 * 4096, blockSize: 4096, seed: 3}, 0},
		"batmap":       {testDisk{size: 8 * 4096, blockSize: 4096, seed: 3, batmap: true}, sectorSize},
		"encrypted":    {testDisk{size: 8 * 4096, blockSize: 4096, seed: 3, key: random(64)}, sectorSize},
		"differencing": {testDisk{size: 8 * 4096, blockSize: 4096, seed: 3, base: base}, 0},
		"no end":       {testDisk{size: 8 * 4096, blockSize: 4096, seed: 3}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			file, guest := c.build()
			file = tableLast(file, sectorSize, c.batmap)
			if name == "no end" {
				file = file[:len(file)-footerSize]
			}
			opts := Options{Key: c.key}
			if c.base != nil {
				parent, _ := testDisk{size: 8 * 4096, id: c.id}.build()
				copy(parent, base)
				opts.Resolve = resolveFrom(parent)
			}
			d := open(t, bytes.NewReader(file), int64(len(file)), opts)
			imagetest.Exact(t, d, guest)
			if d.describe().Batmap != (c.batmap > 0) {
				t.Error("Open did not find the batmap")
			}
			r, err := d.Check(context.Background())
			if err != nil || name != "no end" && r.Corruptions > 0 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// TestTableBehindBlocksOverlaps checks that a table after the blocks must not overlap them or the
// names of the parent.
func TestTableBehindBlocksOverlaps(t *testing.T) {
	file, _ := small.build()
	file = tableLast(file, sectorSize, 0)
	table := len(file) - footerSize - sectorSize
	be.PutUint32(file[table+4:], uint32((table-4096)/sectorSize))
	_, err := Open(context.Background(), bytes.NewReader(file), int64(len(file)), Options{})
	if err == nil || !strings.Contains(err.Error(), "block allocation table entry 1 at offset") || !strings.Contains(err.Error(), "does not overlap the block allocation table at byte") {
		t.Errorf("%v", err)
	}
}

// TestOthersReadTableBehindBlocks reads a QEMU disk with its table last, and compares the result
// with qemu-img and libvhdi.
func TestOthersReadTableBehindBlocks(t *testing.T) {
	need.Judge(t, "qemu-img")
	dir := t.TempDir()
	name, moved := filepath.Join(dir, "disk.vhd"), filepath.Join(dir, "moved.vhd")
	raw := filepath.Join(dir, "disk.raw")
	guest := make([]byte, 32<<20)
	copy(guest[1<<20:], random(1<<20))
	if err := os.WriteFile(raw, guest, 0o600); err != nil {
		t.Fatal(err)
	}
	need.Run(t, "", "qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "force_size=on", raw, name)
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	file = tableLast(file, sectorSize, 0)
	if err := os.WriteFile(moved, file, 0o600); err != nil {
		t.Fatal(err)
	}
	need.Run(t, "", "qemu-img", "compare", "-f", "vpc", "-F", "raw", moved, raw)
	d := open(t, bytes.NewReader(file), int64(len(file)), Options{})
	got := make([]byte, len(guest))
	if _, err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got, guest) {
		t.Errorf("the data differs; %v", err)
	}
	need.Program(t, "vhdiinfo")
	if out := need.Run(t, "", "vhdiinfo", moved); !strings.Contains(out, "33554432 bytes") {
		t.Errorf("vhdiinfo: %s", out)
	}
}

// TestParentTimestampNotSet checks that a parent timestamp of 0, which is unset, causes no warning.
func TestParentTimestampNotSet(t *testing.T) {
	child, _ := namedChild.build()
	editHeader(child, func(h []byte) { be.PutUint32(h[offParentTime:], 0) })
	parent, _ := testDisk{size: 8 * 4096, id: 5}.build()
	d := open(t, bytes.NewReader(child), int64(len(child)), Options{Resolve: resolveFrom(parent)})
	if i := d.describe(); len(i.Warnings) > 0 || !i.Parent.Timestamp.IsZero() {
		t.Errorf("%q, %v", i.Warnings, i.Parent.Timestamp)
	}
}
