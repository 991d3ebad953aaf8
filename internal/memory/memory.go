// Package memory tells how much memory a process may still take. Go ends the process when
// the system gives it none, and nobody can catch that: who is about to allocate what a file
// asks for looks first.
package memory

import (
	"errors"
	"fmt"
	"math"
	"runtime"
)

// ErrShort is what every error of [Check] is.
var ErrShort = errors.New("not enough memory")

// What the rest of the program goes on to allocate, and addresses, which the runtime takes
// in pieces of 64 MiB.
const (
	spare          = 16 << 20
	spareAddresses = 80 << 20
)

// A bound is one thing that limits the memory of the process.
type bound struct {
	name string
	free int64 // bytes
	// Whether the bound counts addresses. Those that the Go heap has given back still count.
	addresses bool
}

// Check returns nil if n bytes can be allocated at once, as far as can be told, or an error
// that says how many can, and why. It collects garbage first.
func Check(n int64) error {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return check(n, append(bounds(), bound{"the address space of the machine", math.MaxInt, false}),
		int64(m.HeapIdle), int64(m.HeapIdle-m.HeapReleased))
}

// check is Check with what the heap has and does not use: addresses, and memory.
func check(n int64, bounds []bound, idle, held int64) error {
	least := bound{free: math.MaxInt64}
	for _, b := range bounds {
		reusable := held
		b.free -= spare
		if b.addresses {
			reusable = idle
			b.free -= spareAddresses - spare
		}
		if reusable >= n { // else it may be in pieces
			b.free += min(reusable, math.MaxInt64-b.free)
		}
		if b.free < least.free {
			least = b
		}
	}
	if have := max(0, least.free); have < n {
		return fmt.Errorf("%w: %s are needed, and %s are there (%s)", ErrShort, size(n), size(have), least.name)
	}
	return nil
}

// size is a number of bytes for people.
func size(n int64) string {
	if n >= 10<<30 || n%(1<<30) == 0 && n > 0 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	if n >= 1<<20 || n == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
