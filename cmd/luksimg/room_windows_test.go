package main

import (
	"os"

	"github.com/rogpeppe/go-internal/testscript"
)

// room returns the size of a file, because Windows reports no other number here.
func room(ts *testscript.TestScript, name string) int64 {
	fi, err := os.Stat(ts.MkAbs(name))
	ts.Check(err)
	return fi.Size()
}
