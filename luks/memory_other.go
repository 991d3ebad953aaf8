//go:build !linux

package luks

import "math"

// machineMemory returns a bound on how much memory the machine has, where that can not be
// told.
func machineMemory() int64 { return math.MaxInt64 }
