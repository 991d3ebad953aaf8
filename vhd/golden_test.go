package vhd

import (
	"bytes"
	"testing"

	"github.com/luksimg/luksimg/internal/golden"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// TestGolden reads the files in testdata/vhd. QEMU wrote them; README.md there lists the commands.
func TestGolden(t *testing.T) {
	type write = imagetest.Write
	for _, c := range []struct {
		name     string
		size     int64
		kind     string
		blocks   int
		warnings int
		writes   []write
	}{
		// QEMU does not use the geometry for the creator that it writes with force_size.
		{"dynamic-5m", 5 << 20, "dynamic", 2, 0, []write{{1 << 20, 64 << 10, 0x5a}, {4 << 20, 4096, 0xa5}, {5242368, 512, 0x11}}},
		{"dynamic-chs", 3168256, "dynamic", 1, 0, []write{{2 << 20, 1024, 0x77}}},
		{"fixed-64k", 64 << 10, "fixed", 0, 0, []write{{512, 512, 0x33}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := golden.Read("../testdata/vhd/" + c.name + ".vhd.gz")
			d := open(t, bytes.NewReader(file), int64(len(file)), Options{})
			i := d.describe()
			if d.Size() != c.size || i.Type != c.kind || i.AllocatedBlocks != c.blocks || len(i.Warnings) != c.warnings {
				t.Errorf("%+v", i)
			}
			imagetest.Source(t, d, imagetest.Written(c.size, c.writes...))
		})
	}
}
