package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestManual compares the pages in docs with those of the command. make docs writes them.
func TestManual(t *testing.T) {
	for format, dir := range map[string]string{"man": "../../docs/man", "markdown": "../../docs/cli"} {
		pages, err := manual(newRoot(), format)
		if err != nil {
			t.Fatal(err)
		}
		if len(pages) < 20 {
			t.Fatalf("%s: %d pages only", format, len(pages))
		}
		for name, want := range pages {
			got, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s/%s differs from the command (%v): run make docs", dir, name, err)
			}
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if _, ok := pages[e.Name()]; !ok {
				t.Errorf("%s/%s is the page of no verb", dir, e.Name())
			}
		}
	}
}

// TestTypeset: the table of profiles keeps its lines, and a flag without a value shows none.
func TestTypeset(t *testing.T) {
	pages, err := manual(newRoot(), "man")
	if err != nil {
		t.Fatal(err)
	}
	page := string(pages["luksimg-encrypt.1"])
	if !strings.Contains(page, "\n.nf\nclassic-luks   ") || !strings.Contains(page, "\n.fi\n") || !strings.Contains(page, "\n\\fB--allow-backing\\fP\n") {
		t.Error(page)
	}
	for name, p := range pages {
		if strings.Contains(string(p), "[=false]") || strings.Count(string(p), "\n.nf\n") != strings.Count(string(p), "\n.fi\n") {
			t.Errorf("%s: %s", name, p)
		}
	}
	if got, want := string(typeset([]byte("a\n.EX\n    b\n.EE"))), "a\n.EX\n    b\n.EE"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
