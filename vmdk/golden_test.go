package vmdk

import (
	"context"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/golden"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// TestGolden reads the files in testdata/vmdk, which QEMU wrote. README.md there has the commands.
func TestGolden(t *testing.T) {
	type write = imagetest.Write
	files := map[string][]byte{}
	for _, name := range []string{"sparse", "stream", "split", "split-s001", "delta"} {
		files[name+".vmdk"] = golden.Read("../testdata/vmdk/" + name + ".vmdk.gz")
	}
	src := []write{{256 << 10, 300 << 10, 0x77}, {2 << 20, 512, 0x33}}
	delta := append(src[:2:2], write{1 << 20, 4 << 10, 0x44}, write{256 << 10, 64 << 10, 0})
	for _, c := range []struct {
		name, createType, adapter string
		grains                    int64
		writes                    []write
	}{
		{"sparse", "monolithicSparse", "ide", 6, src},
		{"stream", "streamOptimized", "lsilogic", 6, src},
		{"split", "twoGbMaxExtentSparse", "ide", 6, src},
		{"delta", "monolithicSparse", "ide", 1, delta},
	} {
		t.Run(c.name, func(t *testing.T) {
			var asked []image.Ref
			d := open(t, files[c.name+".vmdk"], Options{Resolve: memory(files, &asked)})
			imagetest.Source(t, d, imagetest.Written(3<<20, c.writes...))
			if r, err := d.Check(context.Background()); err != nil || r.Corruptions > 0 || r.AllocatedGrains != c.grains {
				t.Errorf("Check: got %+v, %v", r, err)
			}
			i, err := d.Info(context.Background())
			if err != nil || i.CreateType != c.createType || i.AdapterType != c.adapter || i.GrainSize != 64<<10 || len(i.Warnings) > 0 {
				t.Errorf("Info: got %+v, %v", i, err)
			}
		})
	}
}
