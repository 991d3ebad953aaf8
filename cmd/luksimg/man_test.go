package main

import (
	"bytes"
	"os"
	"path/filepath"
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
				t.Errorf("%s/%s is not what the command says (%v): make docs writes it anew", dir, name, err)
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
