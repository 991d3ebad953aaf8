//go:build (amd64 || arm64) && !purego

package xts

import "encoding/binary"

// maxRoundKeys is the number of round keys of AES-256.
const maxRoundKeys = 15

// A roundKeys holds the round keys of AES in the order of their use: 11 for AES-128, 15 for AES-256.
type roundKeys [maxRoundKeys][blockSize]byte

// expandKey fills k with the encryption round keys for key, of 16 or 32 bytes, and returns the number
// of rounds (FIPS 197, section 5.2).
//
// It uses no tables, so that its time and its memory accesses do not depend on the key.
func expandKey(k *roundKeys, key []byte) (rounds int) {
	words := len(key) / 4
	rounds = words + 6
	var w [4 * maxRoundKeys]uint32
	defer clear(w[:])
	for i := range words {
		w[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	constant := uint32(1)
	for i := words; i < 4*(rounds+1); i++ {
		t := w[i-1]
		switch {
		case i%words == 0:
			t = substitute(t>>8|t<<24) ^ constant
			constant = timesX(constant)
		case words == 8 && i%words == 4:
			t = substitute(t)
		}
		w[i] = w[i-words] ^ t
	}
	for i := range w {
		binary.LittleEndian.PutUint32(k[i/4][i%4*4:], w[i])
	}
	return rounds
}

// invertKey fills d with the round keys of the equivalent inverse cipher for e (FIPS 197, section
// 5.3.5). AES instructions decrypt with those.
func invertKey(d, e *roundKeys, rounds int) {
	d[0], d[rounds] = e[rounds], e[0]
	for i := 1; i < rounds; i++ {
		for j := 0; j < blockSize; j += 4 {
			column := binary.LittleEndian.Uint32(e[rounds-i][j:])
			binary.LittleEndian.PutUint32(d[i][j:], invMixColumn(column))
		}
	}
}

// The functions below work on four bytes at a time. Each byte is an element of GF(2^8) modulo x^8 + x^4
// + x^3 + x + 1, the field of AES.

// timesX multiplies each byte of a by x.
func timesX(a uint32) uint32 {
	carry := a >> 7 & 0x01010101
	return a<<1&0xfefefefe ^ carry*0x1b
}

// multiply multiplies each byte of a by the corresponding byte of b.
func multiply(a, b uint32) (product uint32) {
	for range 8 {
		product ^= b & 0x01010101 * 0xff & a
		a, b = timesX(a), b>>1&0x7f7f7f7f
	}
	return product
}

// substitute applies the S-box to each byte of a: the inverse, computed as the 254th power, and then an
// affine map.
func substitute(a uint32) uint32 {
	inverse := uint32(0x01010101)
	for range 7 {
		a = multiply(a, a)
		inverse = multiply(inverse, a)
	}
	s := inverse ^ 0x63636363
	for n := 1; n <= 4; n++ {
		s ^= rotateBytes(inverse, n)
	}
	return s
}

// rotateBytes rotates each byte of a to the left by n bits.
func rotateBytes(a uint32, n int) uint32 {
	high := uint32(0xff<<n&0xff) * 0x01010101
	return a<<n&high | a>>(8-n)&^high
}

// invMixColumn applies InvMixColumns to one column.
func invMixColumn(a uint32) uint32 {
	x2 := timesX(a)
	x4 := timesX(x2)
	x8 := timesX(x4)
	x9 := x8 ^ a
	rotate := func(v uint32, n int) uint32 { return v>>n | v<<(32-n) }
	return x8 ^ x4 ^ x2 ^ rotate(x9^x2, 8) ^ rotate(x9^x4, 16) ^ rotate(x9, 24)
}
