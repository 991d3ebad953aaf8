package inflate

import "math/bits"

// build makes a lookup table for canonical codes of these lengths, 0 for symbols
// without one. value gives the entry of a symbol without its lengths, and the
// number of its extra bits. A set of codes that is not complete is taken only if it
// is a single code of one bit or none at all, as zlib does.
func build(table []uint32, tableBits uint, lens []uint8, value func(sym int) (uint32, uint8)) bool {
	var count [maxBits + 1]int
	for _, n := range lens {
		count[n]++
	}
	count[0] = 0
	left, codes := 1, 0
	var next [maxBits + 2]int // by length: the next code
	var start [maxBits + 2]int
	for n := 1; n <= maxBits; n++ {
		if left = left<<1 - count[n]; left < 0 {
			return false
		}
		codes += count[n]
		next[n+1] = (next[n] + count[n]) << 1
		start[n+1] = start[n] + count[n]
	}
	if left > 0 && (codes > 1 || codes == 1 && count[1] != 1) {
		return false
	}
	var sorted [litLenCodes]uint16 // symbols in the order of their codes
	for sym, n := range lens {
		if n > 0 {
			sorted[start[n]] = uint16(sym)
			start[n]++
		}
	}
	size := 1 << tableBits
	if left > 0 {
		for i := range table[:size] {
			table[i] = flagBad
		}
	}
	free := size // where the next subtable goes
	prefix, sub, subBits := -1, 0, uint(0)
	for _, sym := range sorted[:codes] {
		n := uint(lens[sym])
		code := int(bits.Reverse16(uint16(next[n])) >> (16 - n))
		next[n]++
		e, extra := value(int(sym))
		if n <= tableBits {
			e |= entry(e, n, extra)
			for i := code; i < size; i += 1 << n {
				table[i] = e
			}
			count[n]--
			continue
		}
		if code&(size-1) != prefix {
			prefix, sub = code&(size-1), free
			subBits = subtableBits(&count, n, tableBits)
			if free += 1 << subBits; free > len(table) {
				return false
			}
			table[prefix] = uint32(sub)<<16 | flagSubtable | uint32(subBits)
		}
		count[n]--
		k := n - tableBits
		e |= entry(e, k, extra)
		for i := code >> tableBits; i < 1<<subBits; i += 1 << k {
			table[sub+i] = e
		}
	}
	return true
}

// subtableBits returns the index bits of the subtable whose first code has n bits:
// enough for all codes that begin alike. count is of the codes that are left.
func subtableBits(count *[maxBits + 1]int, n, tableBits uint) uint {
	k := n - tableBits
	left := 1 << k
	for k+tableBits < maxBits {
		if left -= count[k+tableBits]; left <= 0 {
			break
		}
		k++
		left <<= 1
	}
	return k
}

// entry returns the lengths in the entry of a symbol whose code has n bits, and the number
// of literals in that of one.
func entry(e uint32, n uint, extra uint8) uint32 {
	if e&flagLiteral != 0 {
		return 1<<8 | uint32(n)
	}
	return uint32(n)<<8 | uint32(n+uint(extra))
}
