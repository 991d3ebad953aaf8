// Package aeslimit runs AES instructions on registers alone, without memory: the most
// that a CPU can do, to compare implementations with. It can copy meanwhile, which is the
// most that a CPU and its memory can do.
package aeslimit

import "unsafe"

// A Loop is one size of register.
type Loop struct {
	Name  string
	run   func(n int) // 2n rounds on all registers of the loop
	bytes int         // in these registers
}

// Loops lists the loops that this CPU can run, the fastest first. It is empty where
// there is no assembly for one.
func Loops() []Loop { return loops() }

// Run does as many AES rounds as size bytes take under a key of keyBits, 128 or 256:
// rather a few more than less.
func (l Loop) Run(size, keyBits int) {
	rounds := keyBits/32 + 6
	l.run((size*rounds + 2*l.bytes - 1) / (2 * l.bytes))
}

// Copying is the name of what [Copy] does.
const Copying = "limit-copying"

// copied is how many bytes Copy copies at a time, to multiples of alignment.
const (
	copied    = 768
	alignment = 64
)

// Copy copies src to dst past the caches, and does the AES rounds that as many bytes take under a key
// of 256 bits, none of which waits for memory. The last bytes stay, up to 767, and so does all of it
// if dst is not aligned to 64 bytes. It reports false where there is no assembly for it.
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
