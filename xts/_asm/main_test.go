package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCommitted compares the assembly in the package with what the generator makes.
func TestCommitted(t *testing.T) {
	for name, want := range generate() {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Error(err)
		} else if string(got) != want {
			t.Errorf("%s is not what the generator makes: run go generate in package xts", name)
		}
	}
}
