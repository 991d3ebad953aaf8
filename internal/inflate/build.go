package inflate

import "math/bits"

// build makes a lookup table for canonical codes of these lengths, 0 for symbols without one. values are
// the entries of the symbols but for the lengths of their codes. A set of codes that is not
// complete is taken only if it is a single code of one bit or none at all, as zlib does.
//
// It leaves in sorted the symbols in the order of their codes, and in count how many have a
// code of so many bits.
func (d *decoder) build(table []uint32, tableBits uint, lens []uint8, values []uint32) bool {
	d.count = [maxBits + 1]int{}
	count := &d.count
	// Symbols beside each other often have the same length. Each second one is counted for
	// itself, so that it does not wait for the one before.
	var odd, next [maxBits + 2]int // next: where the next symbol of a length goes in sorted
	rest := lens
	for ; len(rest) > 1; rest = rest[2:] {
		count[rest[0]&15]++
		odd[rest[1]&15]++
	}
	for _, n := range rest {
		count[n&15]++
	}
	for n := range count {
		count[n] += odd[n]
	}
	codes := len(lens) - count[0]
	count[0] = 0
	left := 1
	for n := 1; n <= maxBits; n++ {
		if left = left<<1 - count[n]; left < 0 {
			return false
		}
		next[n+1] = next[n] + count[n]
	}
	sorted := &d.sorted
	next[0] = codes // symbols without a code follow the others, which takes no branch
	last := &odd    // where the last symbol of a length goes
	for n := range count {
		last[n] = next[n] + count[n] - 1
	}
	last[0] = len(lens) - 1
	for low, high := 0, len(lens)-1; low <= high; low, high = low+1, high-1 {
		i, j := &next[lens[low]&15], &last[lens[high]&15]
		sorted[*i] = uint16(low)
		sorted[*j] = uint16(high)
		*i++
		*j--
	}
	if left > 0 {
		return buildIncomplete(table[:1<<tableBits], codes, count[1], sorted[0], values)
	}

	// The first lookup doubles with each bit: what is there is the same whatever the next
	// bit is, and what is not there yet are longer codes.
	code, size, syms := uint16(0), 1, sorted[:codes]
	table[0] = 0
	for n := uint(1); n <= tableBits; n++ {
		copy(table[size:2*size], table[:size])
		size *= 2
		code <<= 1
		most := count[n]
		if most == 0 {
			continue
		}
		all := table[:size]
		r := uint(bits.Reverse16(code) >> (16 - n))
		for _, sym := range syms[:most] {
			all[r&uint(len(all)-1)] = values[sym] + uint32(n)*codeLen
			// The next code, with its bits reversed.
			bit := uint(1) << (bits.Len(^r&uint(size-1)) & 63) >> 1
			r = r&(bit-1) | bit
		}
		code += uint16(most)
		syms = syms[most:]
	}
	if len(syms) == 0 {
		return true
	}
	free := size // where the next subtable goes
	prefix, sub, subBits := -1, 0, uint(0)
	n, more := tableBits, *count
	for _, sym := range syms {
		for more[n] == 0 || n == tableBits {
			n++
			code <<= 1
		}
		r := int(bits.Reverse16(code) >> (16 - n))
		code++
		if r&(size-1) != prefix {
			prefix, sub = r&(size-1), free
			subBits = subtableBits(&more, n, tableBits)
			if free += 1 << subBits; free > len(table) {
				return false
			}
			table[prefix] = uint32(sub)<<16 | entrySubtable | uint32(subBits)
		}
		more[n]--
		e := values[sym] + uint32(n)*codeLen
		for i := r >> tableBits; i < 1<<subBits; i += 1 << (n - tableBits) {
			table[sub+i] = e
		}
	}
	return true
}

// buildIncomplete makes the table of a single code, of one bit, or of none.
func buildIncomplete(table []uint32, codes, ofOneBit int, sym uint16, values []uint32) bool {
	if codes > 1 || codes != ofOneBit {
		return false
	}
	for i := range table {
		table[i] = entryBad
		if codes == 1 && i&1 == 0 {
			table[i] = values[sym] + codeLen
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

// join makes the table of joined entries: as the first lookup in litLen, but where a literal
// is followed by the whole code of another one, or of a length, in the same bits, the entry
// has both.
func (d *decoder) join() {
	copy(d.joined[:], d.litLen[:])
	var first [litLenBits + 1]uint16 // the first code of a length
	var start [litLenBits + 2]int    // where its symbols are in sorted
	for n := 1; n <= litLenBits; n++ {
		first[n] = (first[n-1] + uint16(d.count[n-1])) << 1
		start[n+1] = start[n] + d.count[n]
	}
	// after doubles as in build, so that it has at the end of each round what follows a
	// literal with so many bits less than all. A code that is longer adds nothing.
	var after [1 << (litLenBits - 1)]uint32
	for n, size := uint(1), 2; n < litLenBits; n, size = n+1, 2*size {
		copy(after[size/2:size], after[:size/2])
		code := first[n]
		for _, sym := range d.sorted[start[n]:start[n+1]] {
			if sym != endOfBlock {
				after[bits.Reverse16(code)>>(16-n)] = afterValues[sym] + uint32(n)*codeLen
			}
			code++
		}
		if start[n+1] == 0 {
			continue
		}
		k := litLenBits - n
		code = first[k]
		for _, sym := range d.sorted[start[k]:start[k+1]] {
			if sym >= endOfBlock {
				break
			}
			e := litLenValues[sym] + uint32(k)*codeLen
			i := int(bits.Reverse16(code) >> (16 - k))
			for _, more := range after[:size] {
				d.joined[i&(1<<litLenBits-1)] = e + more
				i += 1 << k
			}
			code++
		}
	}
}
