package main

import (
	"os"

	"github.com/rogpeppe/go-internal/testscript"
)

// room returns the length of a file, which is all that can be told of it here.
func room(ts *testscript.TestScript, name string) int64 {
	fi, err := os.Stat(ts.MkAbs(name))
	ts.Check(err)
	return fi.Size()
}
