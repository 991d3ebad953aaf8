package main

import (
	"os"
	"testing"
)

// TestCommitted checks that the assembly in the package is the output of the generator.
func TestCommitted(t *testing.T) {
	got, err := os.ReadFile("../fast_amd64.s")
	if err != nil {
		t.Error(err)
	} else if string(got) != file() {
		t.Error("fast_amd64.s is out of date: run go generate in package zstd")
	}
}
