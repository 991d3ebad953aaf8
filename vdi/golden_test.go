package vdi

import (
	"bytes"
	"io"
	"testing"

	"github.com/luksimg/luksimg/internal/golden"
)

// TestGolden reads what qemu wrote; testdata/vdi/README.md has the commands.
func TestGolden(t *testing.T) {
	d, err := open(golden.Read("../testdata/vdi/dynamic.vdi.gz"))
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 3<<20)
	copy(want[1<<20:], bytes.Repeat([]byte{0x5a}, 64<<10))
	copy(want[3145216:], bytes.Repeat([]byte{0x11}, 512))
	got := make([]byte, len(want))
	if n, err := d.ReadAt(got, 0); n != len(got) || err != nil && err != io.EOF || d.Size() != int64(len(want)) || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", n, d.Size(), err)
	}
}
