package archive

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
)

// TestSecondReaders extracts the disk of an OVA with other programs. Their output must equal the disk
// that this package reads.
func TestSecondReaders(t *testing.T) {
	need.Program(t, "7z", "bsdtar", "tar")
	disk := file{name: "vm-disk1.vmdk", data: noise(200_000, 1)}
	ovf := file{name: "vm.ovf", data: vmwareOVF(disk.name)}
	b := tarOf(t, ovf, file{name: "vm.mf", data: manifestOf(vmwareForm, ovf, disk)}, disk)
	got, err := content(t, opened(t, b), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"7z", "e", "vm.ova", disk.name}, {"bsdtar", "-xf", "vm.ova", disk.name}, {"tar", "-xf", "vm.ova", disk.name}} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "vm.ova"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		need.Run(t, dir, command[0], command[1:]...)
		other, err := os.ReadFile(filepath.Join(dir, disk.name))
		if err != nil || string(other) != got {
			t.Errorf("%s: %d bytes, %v", command[0], len(other), err)
		}
	}
}
