package main

import (
	"os"
	"testing"
)

// TestCommitted compares the assembly in the package with what the generator makes.
func TestCommitted(t *testing.T) {
	got, err := os.ReadFile("../fast_amd64.s")
	if err != nil {
		t.Error(err)
	} else if string(got) != file() {
		t.Error("fast_amd64.s is not what the generator makes: run go generate in package zstd")
	}
}
