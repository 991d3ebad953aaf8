package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/internal/need"
)

// TestPINTerminal checks that luksimg asks for a PIN once per run, without echo, or reads it from a file descriptor.
func TestPINTerminal(t *testing.T) {
	need.Judge(t, "softhsm2-util")
	h := need.HSM(t)
	h.AES("images", "01")
	h.AES("new", "02")
	luksimg, dir := command(t), t.TempDir()
	t.Setenv(envPKCS11Module, h.Module)
	noise(t, filepath.Join(dir, "disk"), 64<<10)
	key := func(object string) string { return "pkcs11:token=luksimg%20test;object=" + object }
	run := func(pin string, code int, args ...string) {
		t.Helper()
		s := start(t, dir, luksimg, args...)
		s.expect("PIN for pkcs11:token=luksimg%20test;object=")
		s.enter(pin + "\n")
		if got := s.code(); got != code || strings.Count(s.text(), "PIN for ") != 1 || strings.Contains(s.text(), pin) {
			t.Errorf("%q: exit code %d, or luksimg printed the PIN or prompted for it again:\n%s", args, got, s.text())
		}
	}
	run(h.PIN, exit.Done, "encrypt", "--kms", key("images"), "disk", "image")
	run(h.PIN, exit.Done, "rewrap", "--kms", key("images"), "--new-kms", key("new"), "image")
	run("wrong-pin", exit.Refused, "decrypt", "--kms", key("new"), "image", "no")

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString(h.PIN + "\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	c := exec.Command(luksimg, "verify", "--kms", "pkcs11:?pin-source=/dev/fd/3", "disk", "image")
	c.Dir, c.ExtraFiles = dir, []*os.File{r}
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("by a descriptor: %v\n%s", err, out)
	}
}
