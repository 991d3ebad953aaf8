package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain runs the program itself for TestDeploy, in another process.
func TestMain(m *testing.M) {
	if os.Getenv("EXAMPLE") == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestDeploy runs the program with a disk that has a partition table.
func TestDeploy(t *testing.T) {
	name := filepath.Join(t.TempDir(), "disk.raw")
	disk := make([]byte, 4<<20)
	copy(disk[446:], []byte{0x80, 0, 2, 0, 0x83, 0, 0, 0, 8, 0, 0, 0, 0, 0x10, 0, 0})
	disk[510], disk[511] = 0x55, 0xaa
	if err := os.WriteFile(name, disk, 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), "EXAMPLE=1")
	if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), "usage: deploy DISK") {
		t.Errorf("without a disk: %v: %s", err, out)
	}
	c = exec.Command(self, name)
	c.Env = append(os.Environ(), "EXAMPLE=1")
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "server web1.example.com of template web") {
		t.Errorf("%v: %s", err, out)
	}
}
