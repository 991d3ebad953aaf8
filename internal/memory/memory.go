// Package memory reports how much memory a process can still allocate. The Go runtime ends a process
// that runs out of memory, and no program can catch that. Check before you allocate what a file asks
// for.
package memory

import (
	"errors"
	"fmt"
	"math"
	"runtime"
)

// ErrShort matches every error of [Check].
var ErrShort = errors.New("not enough memory")

// These reserves are for what the rest of the program allocates, and for addresses, which the runtime
// reserves in units of 64 MiB.
const (
	spare          = 16 << 20
	spareAddresses = 80 << 20
)

// A bound is one limit of the process's memory.
type bound struct {
	name string
	free int64 // bytes
	// addresses is true if the bound counts addresses. Addresses that the Go heap has released still
	// count.
	addresses bool
}

// Check returns nil if n bytes can be allocated at once, as far as is known. Otherwise the error, which
// matches [ErrShort], has the available memory and the limit. Check collects garbage first.
func Check(n int64) error {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return check(n, append(bounds(), bound{"the address space of the machine", math.MaxInt, false}),
		int64(m.HeapIdle), int64(m.HeapIdle-m.HeapReleased))
}

// check is like Check. idle and held are the unused addresses and memory of the heap, in bytes.
func check(n int64, bounds []bound, idle, held int64) error {
	least := bound{free: math.MaxInt64}
	for _, b := range bounds {
		reusable := held
		b.free -= spare
		if b.addresses {
			reusable = idle
			b.free -= spareAddresses - spare
		}
		if reusable >= n { // less may be fragmented
			b.free += min(reusable, math.MaxInt64-b.free)
		}
		if b.free < least.free {
			least = b
		}
	}
	if have := max(0, least.free); have < n {
		return fmt.Errorf("%w: need %s, have %s (%s)", ErrShort, size(n), size(have), least.name)
	}
	return nil
}

// size formats a number of bytes for people.
func size(n int64) string {
	if n >= 10<<30 || n%(1<<30) == 0 && n > 0 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	if n >= 1<<20 || n == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
