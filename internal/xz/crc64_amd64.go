package xz

import "math/bits"

// useFold is true if the CPU has carry-less multiplication.
var useFold = hasCLMUL()

// foldBy holds the factors that move the two halves of 16 bytes by 512 and by 128 bits. A product of
// bit-reversed polynomials has an additional factor x.
var foldBy = [2][2]uint64{{power(512 + 63), power(512 - 1)}, {power(128 + 63), power(128 - 1)}}

// The assembly uses foldBy.
var _ = &foldBy

// power returns x to the power of n, modulo the polynomial of CRC64. The lowest power is the highest
// bit.
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

// fold reduces p, with the initial value crc, to 16 bytes with the same remainder. The length of p must
// be a positive multiple of 64.
//
//go:noescape
func fold(folded *[16]byte, p []byte, crc uint64)
