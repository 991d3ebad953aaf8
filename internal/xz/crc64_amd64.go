package xz

import "math/bits"

// useFold is whether the CPU multiplies polynomials.
var useFold = hasCLMUL()

// foldBy has for 512 and for 128 bits what bytes are multiplied by, to be added to those so
// many bits behind: the first 8 of 16 bytes, and the others. A product in reverse order of the
// bits has one factor x more.
var foldBy = [2][2]uint64{{power(512 + 63), power(512 - 1)}, {power(128 + 63), power(128 - 1)}}

// The assembly reads it.
var _ = &foldBy

// power returns x to the power of n, modulo the polynomial of the CRC64, with the lowest power
// as the highest bit.
func power(n int) uint64 {
	const polynomial = 0x42f0e1eba9ea3693
	v := uint64(1)
	for range n {
		v = v<<1 ^ polynomial&-(v>>63)
	}
	return bits.Reverse64(v)
}

// hasCLMUL reports whether the CPU has PCLMULQDQ.
func hasCLMUL() bool

// fold puts into folded 16 bytes that have the same remainder as p after crc. The length of p is a
// multiple of 64, and not 0.
//
//go:noescape
func fold(folded *[16]byte, p []byte, crc uint64)
