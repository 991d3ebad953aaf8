package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCommitted compares the assembly in the package with the generator's output.
func TestCommitted(t *testing.T) {
	for name, want := range generate() {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Error(err)
		} else if string(got) != want {
			t.Errorf("%s differs from the generator's output: run go generate in package xts", name)
		}
	}
}
