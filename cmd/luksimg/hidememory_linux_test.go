package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/internal/hide"
)

// TestHideMemory inspects the process from outside while it waits for input.
func TestHideMemory(t *testing.T) {
	luksimg, dir := command(t), t.TempDir()
	key := filepath.Join(dir, "key")
	must(t, luksimg, "keygen", key)
	s := start(t, dir, luksimg, "encrypt", "--key-file", key, "--format", "luks1", "-", "x")
	if _, err := s.in.Write(make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	s.expect("key: 44 bytes")
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	locked := !strings.Contains(string(status), "VmLck:\t       0 kB")
	if locked != hide.MayLock() {
		t.Errorf("memory is locked: %t, may be: %t\n%s", locked, hide.MayLock(), status)
	}
	if os.Geteuid() != 0 {
		if _, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", s.cmd.Process.Pid)); err == nil {
			t.Error("other processes of the user can read the memory of the process")
		}
	}
	s.enter("\x03")
	if code := s.code(); code != exit.Cancelled {
		t.Errorf("exit code %d:\n%s", code, s.text())
	}
}
