package vmdk

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
)

// TestQEMUAgrees has qemu-img read what the tests build, so that a mistake in both
// the builder and the reader is found.
func TestQEMUAgrees(t *testing.T) {
	need.Program(t, "qemu-img")
	// What qemu does not read, or reads in another way.
	differs := map[string]string{
		"4096 entries":   "a grain table of more than 512 entries",
		"rounded":        "the capacity of the header counts",
		"stream rounded": "the capacity of the header counts",
		"stream no end":  "the end-of-stream marker must be there",
		"stream padded":  "and the footer at a fixed place",
	}
	dir := t.TempDir()
	seen := 0
	for name, m := range imgs() {
		if differs[name] != "" {
			continue
		}
		seen++
		w := m.build()
		// qemu asks for the name to be there.
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
			t.Errorf("%s: qemu reads %d other bytes", name, len(got))
		}
	}
	if seen < 35 {
		t.Errorf("%d images", seen)
	}
}
