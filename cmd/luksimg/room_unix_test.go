//go:build unix

package main

import (
	"os"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// room returns the number of bytes that a file uses on the disk.
func room(ts *testscript.TestScript, name string) int64 {
	fi, err := os.Stat(ts.MkAbs(name))
	ts.Check(err)
	return int64(fi.Sys().(*syscall.Stat_t).Blocks) * 512 //nolint:unconvert // some systems have other types
}
