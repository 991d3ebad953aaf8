//go:build !linux

package main

import (
	"errors"
	"os"
)

// punch frees storage where the system can, which is not here.
func punch(*os.File, int64, int64) error { return errors.ErrUnsupported }
