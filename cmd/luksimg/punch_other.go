//go:build !linux

package main

import (
	"errors"
	"os"
)

// punch always returns an error: only Linux is supported.
func punch(*os.File, int64, int64) error { return errors.ErrUnsupported }
