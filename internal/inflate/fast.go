package inflate

import "encoding/binary"

const (
	// fastIn is how much input a round of fast looks at, at most: each of two refills takes
	// up to seven bytes, of eight that it reads.
	fastIn = 7 + 8

	// fastOut is how much output it touches, at most: three pairs of literals and a match,
	// which is copied in steps that most are no longer than: where the end of a short match
	// is, is hard to predict.
	fastOut = 6 + 258 + step
)

const step = 32

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
//
// It works on arrays whose lengths are known, so that the compiler has few bounds to check.
func (d *decoder) fast(in *input, dst []byte, out int) (_ int, end bool, err error) {
	src, pos, b, n := in.src, in.pos, in.b, in.n // of n, the low byte counts
	if len(src)-pos < fastIn || len(dst)-out < fastOut {
		return out, false, nil
	}
	if d.paired {
		d.pair()
	} else {
		copy(d.pairs[:], d.litLen[:])
	}
	src, dst = src[:len(src):len(src)], dst[:len(dst):len(dst)]
	// Each round starts with a full bit buffer and the first entry, which the last one
	// began to look up before it copied.
	// The bits above n, if there are any, are those of the bytes at pos; adding them again
	// changes nothing.
	b |= binary.LittleEndian.Uint64(src[pos:]) << (n & 63)
	pos += int((63 - n) >> 3 & 7)
	n |= 56
	e := d.pairs[b&(1<<litLenBits-1)]
	for len(src)-pos >= fastIn && len(dst)-out >= fastOut {
		s := (*[fastIn]byte)(src[pos:])
		w := (*[fastOut]byte)(dst[out:])
		i, j := uint(0), uint(0) // in s and w
		if e&flagLiteral != 0 {
			b >>= e & 63
			n -= uint(e)
			binary.LittleEndian.PutUint16(w[0:], uint16(e>>16))
			j = uint(e >> 8 & 3)
			e = d.pairs[b&(1<<litLenBits-1)]
			if e&flagLiteral != 0 {
				b >>= e & 63
				n -= uint(e)
				binary.LittleEndian.PutUint16(w[j:], uint16(e>>16))
				j += uint(e >> 8 & 3)
				e = d.pairs[b&(1<<litLenBits-1)]
				if e&flagLiteral != 0 {
					b >>= e & 63
					n -= uint(e)
					binary.LittleEndian.PutUint16(w[j:], uint16(e>>16))
					j += uint(e >> 8 & 3)
					e = d.pairs[b&(1<<litLenBits-1)]
				}
			}
			if e&flagLiteral != 0 {
				b >>= e & 63
				n -= uint(e)
				binary.LittleEndian.PutUint16(w[j:], uint16(e>>16))
				out += int(j + uint(e>>8&3))
				b |= binary.LittleEndian.Uint64(s[0:]) << (n & 63)
				pos += int((63 - n) >> 3 & 7)
				n |= 56
				e = d.pairs[b&(1<<litLenBits-1)]
				continue
			}
			out += int(j)
		}
		if e&(flagSubtable|flagEnd|flagBad) != 0 {
			if e&flagSubtable != 0 {
				b >>= litLenBits
				n -= litLenBits
				e = d.litLen[e>>16+uint32(b)&(1<<(e&15)-1)]
				if e&flagLiteral != 0 {
					b >>= e & 63
					n -= uint(e)
					dst[out] = byte(e >> 16)
					out++
					b |= binary.LittleEndian.Uint64(s[0:]) << (n & 63)
					pos += int((63 - n) >> 3 & 7)
					n |= 56
					e = d.pairs[b&(1<<litLenBits-1)]
					continue
				}
			}
			if e&flagBad != 0 {
				return out, false, ErrCorrupt
			}
			if e&flagEnd != 0 {
				b >>= e & 63
				n -= uint(e)
				end = true
				break
			}
		}
		length := int(e>>16) + int(b&(1<<(e&63)-1)>>(e>>8&15))
		b >>= e & 63
		n -= uint(e)
		if n&0xff < 28 {
			b |= binary.LittleEndian.Uint64(s[0:]) << (n & 63)
			i = (63 - n) >> 3 & 7
			n |= 56
		}
		e = d.dist[b&(1<<distBits-1)]
		if e&(flagSubtable|flagBad) != 0 {
			if e&flagSubtable != 0 {
				b >>= distBits
				n -= distBits
				e = d.dist[e>>16+uint32(b)&(1<<(e&15)-1)]
			}
			if e&flagBad != 0 {
				return out, false, ErrCorrupt
			}
		}
		dist := int(e>>16) + int(b&(1<<(e&63)-1)>>(e>>8&15))
		b >>= e & 63
		n -= uint(e)
		b |= binary.LittleEndian.Uint64(s[i:]) << (n & 63)
		pos += int(i + (63-n)>>3&7)
		n |= 56
		e = d.pairs[b&(1<<litLenBits-1)]
		from := out - dist
		if from < 0 {
			return out, false, ErrCorrupt
		}
		stop := out + length
		switch {
		case dist >= 8:
			for {
				to, match := (*[step]byte)(dst[out:]), (*[step]byte)(dst[from:])
				binary.LittleEndian.PutUint64(to[0:], binary.LittleEndian.Uint64(match[0:]))
				binary.LittleEndian.PutUint64(to[8:], binary.LittleEndian.Uint64(match[8:]))
				binary.LittleEndian.PutUint64(to[16:], binary.LittleEndian.Uint64(match[16:]))
				binary.LittleEndian.PutUint64(to[24:], binary.LittleEndian.Uint64(match[24:]))
				if out, from = out+step, from+step; out >= stop {
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
	n &= 63
	in.pos, in.b, in.n = pos, b&(1<<n-1), n
	return out, end, nil
}
