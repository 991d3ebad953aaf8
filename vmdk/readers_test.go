package vmdk

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
)

// TestQEMUAgrees reads the built images with qemu-img, to find mistakes that the builder and the reader
// share.
func TestQEMUAgrees(t *testing.T) {
	need.Program(t, "qemu-img")
	// Images that QEMU refuses or reads differently, with the reason.
	differs := map[string]string{
		"4096 entries":   "QEMU limits a grain table to 512 entries",
		"rounded":        "QEMU uses the capacity in the header",
		"stream rounded": "QEMU uses the capacity in the header",
		"stream no end":  "QEMU requires the end-of-stream marker",
		"stream padded":  "QEMU requires the footer at a fixed place",
	}
	dir := t.TempDir()
	seen := 0
	for name, m := range imgs() {
		if differs[name] != "" {
			continue
		}
		seen++
		w := m.build()
		// QEMU requires the file that the descriptor names.
		in, out := filepath.Join(dir, "disk.vmdk"), filepath.Join(dir, "out.raw")
		if err := os.WriteFile(in, w.file, 0o600); err != nil {
			t.Fatal(err)
		}
		need.Run(t, "", "qemu-img", "convert", "-f", "vmdk", "-O", "raw", in, out)
		got, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, w.guest) {
			t.Errorf("%s: qemu-img read %d bytes, and the data differs", name, len(got))
		}
	}
	if seen < 35 {
		t.Errorf("%d images", seen)
	}
}
