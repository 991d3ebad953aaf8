package inflate

import "encoding/binary"

const (
	// fastIn is how much input a round of fast looks at, at most: eight bytes for each of
	// its two refills.
	fastIn = 16

	// fastOut is how much output it touches, at most: three pairs of literals and a match,
	// which is copied in steps of eight bytes.
	fastOut = 6 + 258 + 8
)

// worthPairs is the least share of pairs among literals, one in so many, that a table of
// pairs is made for. A code of k bits stands for a share of 2^-k of all symbols.
const worthPairs = 8

// pairing reports whether pairs of literals are common, by the lengths of their codes.
func pairing(lens []uint8) bool {
	var count [maxBits + 1]int
	for _, n := range lens {
		count[n]++
	}
	share := 0 // in units of 2^-litLenBits
	for j := 1; j < litLenBits; j++ {
		for k := 1; j+k <= litLenBits; k++ {
			share += count[j] * count[k] << (litLenBits - j - k)
		}
	}
	return share >= 1<<litLenBits/worthPairs
}

// pair makes the table of pairs: as the first lookup in litLen, but where the code of a
// second literal is in the same bits the entry has both.
func (d *decoder) pair() {
	for i := range d.pairs {
		e := d.litLen[i]
		if e&flagLiteral != 0 {
			k := e & 63
			next := d.litLen[i>>k]
			if next&flagLiteral != 0 && next&63 <= litLenBits-k {
				e = e&0x00ff0000 | next&0x00ff0000<<8 | flagLiteral | 2<<8 | (k + next&63)
			}
		}
		d.pairs[i] = e
	}
}

// fast decodes the symbols of a block as block does, without looking at the ends of input
// and output: it returns at the end of the block, which it reports, or when it comes near
// one of the others. There are at least 56 bits after a refill. Literals of the first
// lookup take 33 for three of them, which leaves enough for the 20 of a length; a distance
// may take 28.
func (d *decoder) fast(in *input, dst []byte, out int) (_ int, end bool, err error) {
	src, pos, b, n := in.src, in.pos, in.b, in.n
	lastIn, lastOut := len(src)-fastIn, len(dst)-fastOut
	if pos > lastIn || out > lastOut {
		return out, false, nil
	}
	table := (*[1 << litLenBits]uint32)(d.litLen[:])
	if d.paired {
		d.pair()
		table = &d.pairs
	}
	// Each round starts with a full bit buffer and the first entry, which the last one
	// began to look up before it copied.
	// The bits above n, if there are any, are those of the bytes at pos; adding them again
	// changes nothing.
	b |= binary.LittleEndian.Uint64(src[pos:]) << (n & 63)
	pos += int((63 - n) >> 3 & 7)
	n |= 56
	e := table[b&(1<<litLenBits-1)]
	for pos <= lastIn && out <= lastOut {
		if e&flagLiteral != 0 {
			b >>= e & 63
			n -= uint(e & 63)
			binary.LittleEndian.PutUint16(dst[out:], uint16(e>>16))
			out += int(e >> 8 & 15)
			e = table[b&(1<<litLenBits-1)]
			if e&flagLiteral != 0 {
				b >>= e & 63
				n -= uint(e & 63)
				binary.LittleEndian.PutUint16(dst[out:], uint16(e>>16))
				out += int(e >> 8 & 15)
				e = table[b&(1<<litLenBits-1)]
				if e&flagLiteral != 0 {
					b >>= e & 63
					n -= uint(e & 63)
					binary.LittleEndian.PutUint16(dst[out:], uint16(e>>16))
					out += int(e >> 8 & 15)
					e = table[b&(1<<litLenBits-1)]
					if e&flagLiteral != 0 {
						b >>= e & 63
						n -= uint(e & 63)
						binary.LittleEndian.PutUint16(dst[out:], uint16(e>>16))
						out += int(e >> 8 & 15)
						b |= binary.LittleEndian.Uint64(src[pos:]) << (n & 63)
						pos += int((63 - n) >> 3 & 7)
						n |= 56
						e = table[b&(1<<litLenBits-1)]
						continue
					}
				}
			}
		}
		if e&(flagSubtable|flagEnd|flagBad) != 0 {
			if e&flagSubtable != 0 {
				b >>= litLenBits
				n -= litLenBits
				e = d.litLen[e>>16+uint32(b)&(1<<(e&15)-1)]
				if e&flagLiteral != 0 {
					b >>= e & 63
					n -= uint(e & 63)
					dst[out] = byte(e >> 16)
					out++
					b |= binary.LittleEndian.Uint64(src[pos:]) << (n & 63)
					pos += int((63 - n) >> 3 & 7)
					n |= 56
					e = table[b&(1<<litLenBits-1)]
					continue
				}
			}
			if e&flagBad != 0 {
				return out, false, ErrCorrupt
			}
			if e&flagEnd != 0 {
				b >>= e & 63
				n -= uint(e & 63)
				end = true
				break
			}
		}
		k := uint(e & 63)
		length := int(e>>16) + int(b&(1<<k-1)>>(e>>8&15))
		b >>= k
		n -= k
		if n < 28 {
			b |= binary.LittleEndian.Uint64(src[pos:]) << (n & 63)
			pos += int((63 - n) >> 3 & 7)
			n |= 56
		}
		f := d.dist[b&(1<<distBits-1)]
		if f&(flagSubtable|flagBad) != 0 {
			if f&flagSubtable != 0 {
				b >>= distBits
				n -= distBits
				f = d.dist[f>>16+uint32(b)&(1<<(f&15)-1)]
			}
			if f&flagBad != 0 {
				return out, false, ErrCorrupt
			}
		}
		k = uint(f & 63)
		dist := int(f>>16) + int(b&(1<<k-1)>>(f>>8&15))
		b >>= k
		n -= k
		b |= binary.LittleEndian.Uint64(src[pos:]) << (n & 63)
		pos += int((63 - n) >> 3 & 7)
		n |= 56
		e = table[b&(1<<litLenBits-1)]
		from := out - dist
		if from < 0 {
			return out, false, ErrCorrupt
		}
		stop := out + length
		switch {
		case dist >= 8:
			for {
				binary.LittleEndian.PutUint64(dst[out:], binary.LittleEndian.Uint64(dst[from:]))
				out, from = out+8, from+8
				if out >= stop {
					break
				}
			}
		case dist == 1 && length <= 32:
			v := uint64(dst[from]) * 0x0101010101010101
			for {
				binary.LittleEndian.PutUint64(dst[out:], v)
				if out += 8; out >= stop {
					break
				}
			}
		default:
			// Each round there is twice as much to copy from.
			for out < stop {
				out += copy(dst[out:stop], dst[from:out])
			}
		}
		out = stop
	}
	in.pos, in.b, in.n = pos, b&(1<<n-1), n
	return out, end, nil
}
