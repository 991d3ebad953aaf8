// Package aeslimit runs AES instructions on registers only, without memory access. That is the upper
// bound for any implementation on a CPU. It can also copy memory at the same time, which is the upper
// bound for the CPU and its memory.
package aeslimit

import "unsafe"

// A Loop is a loop for one register size.
type Loop struct {
	Name  string
	run   func(n int) // 2n rounds on all registers of the loop
	bytes int         // size of all registers of the loop
}

// Loops returns the loops that this CPU supports, fastest first. It is empty on architectures without
// assembly.
func Loops() []Loop { return loops() }

// Run runs the AES rounds for size bytes with a key of keyBits, 128 or 256, rounded up.
func (l Loop) Run(size, keyBits int) {
	rounds := keyBits/32 + 6
	l.run((size*rounds + 2*l.bytes - 1) / (2 * l.bytes))
}

// Copying is the name of the benchmark of [Copy].
const Copying = "limit-copying"

// copied is the number of bytes that Copy copies at a time, to addresses that are multiples of
// alignment.
const (
	copied    = 768
	alignment = 64
)

// Copy copies src to dst, bypassing the caches, and runs the AES rounds for that many bytes with a key
// of 256 bits. The rounds do not wait for memory. Up to 767 bytes at the end are not copied, and
// nothing is copied if dst is not aligned to 64 bytes. Copy returns false if there is no assembly for
// this CPU.
func Copy(dst, src []byte) bool {
	if !canCopy() {
		return false
	}
	n := min(len(dst), len(src)) / copied
	if n > 0 && uintptr(unsafe.Pointer(&dst[0]))%alignment == 0 {
		copy512(&dst[0], &src[0], n)
	}
	return true
}
