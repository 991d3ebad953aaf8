package vhdx

import (
	"bytes"
	"context"
	"testing"

	"github.com/luksimg/luksimg/internal/golden"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// TestGolden reads the files in testdata/vhdx. QEMU wrote them; README.md there lists the commands.
func TestGolden(t *testing.T) {
	type write = imagetest.Write
	dynamic := []write{{1 << 20, 64 << 10, 0x5a}, {4 << 20, 4096, 0xa5}, {5242368, 512, 0x11}}
	for _, c := range []struct {
		name      string
		size      int64
		kind      string
		allocated int64
		log       bool
		writes    []write
	}{
		// QEMU does not allocate blocks of zeros even in a fixed disk.
		{"dynamic", 5 << 20, "dynamic", 2 << 20, false, dynamic},
		{"fixed", 2 << 20, "fixed", 1 << 20, false, []write{{512, 512, 0x33}}},
		{"log", 5 << 20, "dynamic", 3 << 20, true, append([]write{{2 << 20, 64 << 10, 5}}, dynamic...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := golden.Read("../testdata/vhdx/" + c.name + ".vhdx.gz")
			d, err := Open(context.Background(), bytes.NewReader(file), int64(len(file)), Options{})
			if err != nil {
				t.Fatal(err)
			}
			i, err := d.Info(context.Background())
			if err != nil || d.Size() != c.size || i.Type != c.kind || i.AllocatedBytes != c.allocated || i.LogReplayed != c.log || i.Creator != "QEMU v7.2.22" {
				t.Errorf("%+v, %v", i, err)
			}
			guest := imagetest.Written(c.size, c.writes...)
			if c.log { // the rest of the block was never written
				if _, err := d.ReadAt(guest[2<<20+64<<10:3<<20], 2<<20+64<<10); err != nil {
					t.Fatal(err)
				}
			}
			imagetest.Source(t, d, guest)
		})
	}
}

// TestNoAllocation checks that reads do not allocate once the table is cached.
func TestNoAllocation(t *testing.T) {
	w := img{size: 8 * mib, base: newMemFile(8 * mib), states: "p.d", shuffle: true}.build()
	d, err := w.open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 3*mib)
	read := func() {
		if _, err := d.ReadAt(b, mib/2); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(10, read); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
