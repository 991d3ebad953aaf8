//go:build unix

package complete

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestPlain(t *testing.T) {
	for text, want := range map[string]bool{
		"1": true, "before-upgrade_2.0": true, "a@b+c%d,e": true, "": false, "-rf": false, "a b": false, "$(id)": false, "`id`": false, "a;b": false,
		"a\tb": false, "a\nb": false, "é": false, "\x1b[2J": false, "a'b": false, `a"b`: false, `a\b`: false, "a|b": false, "~": false, "*": false, "a\x00b": false,
	} {
		if plain(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

// TestOpen checks that open refuses pipes and folders: reading a pipe would consume its data.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	pipe, file := filepath.Join(dir, "pipe"), filepath.Join(dir, "file")
	if err := os.WriteFile(file, make([]byte, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{pipe, dir, os.DevNull, filepath.Join(dir, "none"), "", "-"} {
		if f, _, err := open(name); err == nil {
			f.Close()
			t.Errorf("%q was opened", name)
		}
	}
	f, size, err := open(file)
	if err != nil || size != 1000 {
		t.Fatalf("%d bytes, %v", size, err)
	}
	f.Close()
}

// TestChoice checks that text from an image cannot end a line or change colors.
func TestChoice(t *testing.T) {
	if got, want := choice("1", "a\tb\nc\x1b[2J"), "1\t"+`a\tb\nc\x1b[2J`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
