package xts

import "encoding/binary"

// The masks of XTS are elements of GF(2^128) modulo x^128 + x^7 + x^2 + x + 1. They are little-endian
// numbers hi:lo in which bit i stands for x^i.

// double multiplies hi:lo by x. It turns the bit shifted out of hi into a mask of all zeros or all
// ones. A branch would be mispredicted half of the time and leak the bit.
func double(lo, hi uint64) (uint64, uint64) {
	carry := uint64(int64(hi) >> 63)
	return lo<<1 ^ carry&0x87, hi<<1 | lo>>63
}

// timesPower multiplies hi:lo by x^n.
func timesPower(lo, hi uint64, n int) (uint64, uint64) {
	for ; n >= 64; n -= 64 {
		// x^128 is x^7 + x^2 + x + 1; hi times that has 71 bits.
		over := hi>>63 ^ hi>>62 ^ hi>>57
		lo, hi = hi^hi<<1^hi<<2^hi<<7, lo^over
	}
	for ; n > 0; n-- {
		lo, hi = double(lo, hi)
	}
	return lo, hi
}

func load(b []byte) (lo, hi uint64) {
	_ = b[blockSize-1]
	return binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
}

func store(b []byte, lo, hi uint64) {
	_ = b[blockSize-1]
	binary.LittleEndian.PutUint64(b, lo)
	binary.LittleEndian.PutUint64(b[8:], hi)
}
