package qcow

import (
	"context"
	"testing"

	"github.com/luksimg/luksimg/internal/golden"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// TestGolden reads the files in testdata/qcow. QEMU wrote them; README.md there lists the commands.
func TestGolden(t *testing.T) {
	type write = imagetest.Write
	src := []write{{256 << 10, 300 << 10, 0x77}, {2 << 20, 512, 0x33}}
	for _, c := range []struct {
		name, file string
		opts       Options
		size       int64
		writes     []write
	}{
		{"v2", "v2", Options{}, 2 << 20, []write{{1 << 20, 64 << 10, 0x5a}, {100 << 10, 4096, 0xa5}}},
		{"current", "snap", Options{}, 1 << 20, []write{{0, 16 << 10, 0x11}, {8 << 10, 16 << 10, 0x22}}},
		{"snapshot", "snap", Options{Snapshot: "before"}, 1 << 20, []write{{0, 16 << 10, 0x11}}},
		{"zstd", "zstd", Options{}, 3 << 20, src},
		{"zlib", "zlib", Options{}, 3 << 20, src},
		{"aes", "aes", Options{Key: []byte("secret")}, 64 << 10, []write{{8 << 10, 1024, 0x44}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := open(t, golden.Read("../testdata/qcow/"+c.file+".qcow2.gz"), c.opts)
			imagetest.Source(t, d, imagetest.Written(c.size, c.writes...))
			if r, err := d.Check(context.Background()); err != nil || r.Corruptions+r.Leaks > 0 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}
