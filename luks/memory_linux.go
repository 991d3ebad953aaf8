package luks

import (
	"math"
	"syscall"
)

// machineMemory returns how much memory the machine has, in bytes.
func machineMemory() int64 {
	var i syscall.Sysinfo_t
	if syscall.Sysinfo(&i) != nil {
		return math.MaxInt64
	}
	return int64(min(uint64(i.Totalram)*uint64(i.Unit), math.MaxInt64))
}
