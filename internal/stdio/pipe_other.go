//go:build !linux

package stdio

import "os"

// Widen does nothing where the size of a pipe can not be set.
func Widen(*os.File) {}
