package inflate

import "math/bits"

// build makes a lookup table for canonical codes of these lengths; 0 means that a symbol has no code.
// values are the entries of the symbols without the lengths of their codes. Like zlib, build accepts an
// incomplete set of codes only if it has one code of one bit, or none.
//
// It leaves the symbols in sorted, in the order of their codes, and the number of codes of each length
// in count.
func (d *decoder) build(table []uint32, tableBits uint, lens []uint8, values []uint32) bool {
	d.count = [maxBits + 1]int{}
	count := &d.count
	// Neighbouring symbols often have the same length. Odd symbols have their own counters, so that an
	// increment does not wait for the previous one.
	var odd, next [maxBits + 2]int // next: position in sorted of the next symbol of each length
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
	next[0] = codes // symbols without a code go last, which avoids a branch
	last := &odd    // position of the last symbol of each length
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

	// The first lookup doubles with each bit: existing entries are the same for both values of the next
	// bit. Entries that are still missing belong to longer codes.
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
			// Compute the next code, with its bits reversed.
			bit := uint(1) << (bits.Len(^r&uint(size-1)) & 63) >> 1
			r = r&(bit-1) | bit
		}
		code += uint16(most)
		syms = syms[most:]
	}
	if len(syms) == 0 {
		return true
	}
	free := size // position of the next subtable
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

// buildIncomplete makes the table for a single code of one bit, or for none.
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

// subtableBits returns the index bits of the subtable whose first code has n bits: enough for all codes
// with the same prefix. count holds the codes that are left.
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

// join makes the table of joined entries. It is like the first lookup of litLen, with one difference:
// if the complete code of another literal or a length fits into the remaining bits, the entry has
// both.
func (d *decoder) join() {
	copy(d.joined[:], d.litLen[:])
	var first [litLenBits + 1]uint16 // the first code of each length
	var start [litLenBits + 2]int    // position of its symbols in sorted
	for n := 1; n <= litLenBits; n++ {
		first[n] = (first[n-1] + uint16(d.count[n-1])) << 1
		start[n+1] = start[n] + d.count[n]
	}
	// after doubles as in build. At the end of each round it has the codes that fit behind a literal
	// with the remaining bits. Longer codes add nothing.
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
