package vdi

import (
	"testing"

	"github.com/luksimg/luksimg/internal/golden"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// TestGolden reads the files in testdata/vdi. QEMU wrote them; README.md there lists the commands.
func TestGolden(t *testing.T) {
	d, err := open(golden.Read("../testdata/vdi/dynamic.vdi.gz"))
	if err != nil {
		t.Fatal(err)
	}
	imagetest.Source(t, d, imagetest.Written(3<<20, imagetest.Write{1 << 20, 64 << 10, 0x5a}, imagetest.Write{3145216, 512, 0x11}))
}
