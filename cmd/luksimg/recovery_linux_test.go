package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
)

// recoveryKey matches a recovery key.
var recoveryKey = regexp.MustCompile(`([cbdefghijklnrtuv]{8}-){7}[cbdefghijklnrtuv]{8}`)

// TestRecoveryTerminal checks that the key appears once on the terminal, even if standard output and error are files,
// and that it opens the image when typed.
func TestRecoveryTerminal(t *testing.T) {
	luksimg, dir := command(t), t.TempDir()
	noise(t, filepath.Join(dir, "disk"), 1<<20)
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir, luksimg, "encrypt", "--key-file", "key", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "disk", "image")
	if code := s.code(); code != exit.Done {
		t.Fatalf("exit code %d: %s", code, s.text())
	}
	s = start(t, dir, "/bin/sh", "-c", luksimg+" key add --key-file key --recovery image >out 2>err")
	s.expect("key can open the image")
	if code := s.code(); code != exit.Done {
		t.Fatalf("exit code %d: %s", code, s.text())
	}
	keys := recoveryKey.FindAllString(s.text(), -1)
	if len(keys) != 1 {
		t.Fatalf("the key was shown %d times: %q", len(keys), s.text())
	}
	for _, name := range []string{"out", "err"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || recoveryKey.Match(text) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	s = start(t, dir, luksimg, "key", "test", "image")
	s.expect("Passphrase for image: ")
	s.enter(keys[0] + "\n")
	s.expect("the key opens key slot 1")
	if code := s.code(); code != exit.Done {
		t.Errorf("exit code %d: %s", code, s.text())
	}
}
