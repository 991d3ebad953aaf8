package inflate

import "encoding/binary"

const (
	// fastIn is the maximum number of input bytes that a round of fast reads. Each of its two refills
	// consumes at most seven of the eight bytes that it loads.
	fastIn = 16

	// fastOut is the maximum number of output bytes that a round writes: six literals, two bytes of an
	// entry without literals, and a match. Matches are copied in steps longer than most of them,
	// because the end of a short match is hard to predict.
	fastOut = 8 + 258 + step
	step    = 32
)

// fastGeneric decodes the symbols of a block like slow, but without checks for the ends of input and
// output. It returns at the end of the block, at an invalid symbol, or near the end of input or output,
// which it leaves to slow. A refill leaves at least 56 bits. Three entries of literals from the first
// lookup take at most 33, which leaves enough for the 20 of a length. A distance can take 28.
//
// It works on arrays of known length, which saves the compiler most bounds checks.
func (s *stream) fastGeneric() {
	src, pos, b, n := s.in.src, s.in.pos, s.in.b, s.in.n // only the low 6 bits of n count
	dst, out, d := s.dst, s.out, &s.decoder
	// Each round starts with a full bit buffer and the first entry, which the previous round looked up
	// before its copy. The bits above n, if any, are those of the bytes at pos. Adding them again
	// changes nothing.
	b |= binary.LittleEndian.Uint64(src[pos:]) << (n & 63)
	pos += int(^n >> 3 & 7)
	n |= 56
	e := d.joined[b&(1<<litLenBits-1)]
	for len(src)-pos >= fastIn && len(dst)-out >= fastOut {
		r := (*[fastIn]byte)(src[pos:])
		w := (*[fastOut]byte)(dst[out:])
		i, j := uint(0), 0 // positions in r and w
		if e&flagMatch == 0 {
			b >>= e & 63
			n -= uint(e)
			binary.LittleEndian.PutUint16(w[0:], uint16(e>>14))
			j = int(e >> 12 & 3)
			e = d.joined[b&(1<<litLenBits-1)]
			if e&flagMatch == 0 {
				b >>= e & 63
				n -= uint(e)
				binary.LittleEndian.PutUint16(w[j:], uint16(e>>14))
				j += int(e >> 12 & 3)
				e = d.joined[b&(1<<litLenBits-1)]
				if e&flagMatch == 0 {
					// The buffer may not have enough bits for the next entry.
					b >>= e & 63
					n -= uint(e)
					binary.LittleEndian.PutUint16(w[j:], uint16(e>>14))
					j += int(e >> 12 & 3)
					out += j
					b |= binary.LittleEndian.Uint64(r[0:]) << (n & 63)
					pos += int(^n >> 3 & 7)
					n |= 56
					e = d.joined[b&(1<<litLenBits-1)]
					continue
				}
			}
			out += j
		}
		if e&flagSpecial != 0 {
			if e&flagSubtable == 0 {
				s.stuck = true
				break
			}
			e = d.litLen[e>>16&0x7fff+uint32(b>>litLenBits)&(1<<(e&15)-1)]
			if e&flagSpecial != 0 {
				s.stuck = true
				break
			}
			if e&flagMatch == 0 {
				b >>= e & 63
				n -= uint(e)
				w[j] = byte(e >> 14)
				out++
				b |= binary.LittleEndian.Uint64(r[0:]) << (n & 63)
				pos += int(^n >> 3 & 7)
				n |= 56
				e = d.joined[b&(1<<litLenBits-1)]
				continue
			}
		}
		w[j] = byte(e >> 14) // the literal in front of the length, if any
		out += int(e >> 12 & 3)
		length := int(e>>22&511) + int(b&(1<<(e&63)-1)>>(e>>8&15))
		b >>= e & 63
		n -= uint(e)
		if n&63 < 28 {
			b |= binary.LittleEndian.Uint64(r[i:]) << (n & 63)
			i = ^n >> 3 & 7
			n |= 56
		}
		e = d.dist[b&(1<<distBits-1)]
		if e&flagSpecial != 0 {
			if e&flagSubtable != 0 {
				e = d.dist[e>>16&0x7fff+uint32(b>>distBits)&(1<<(e&15)-1)]
			}
			if e&flagSpecial != 0 {
				s.bad = true
				break
			}
		}
		dist := int(e>>16) + int(b&(1<<(e&63)-1)>>(e>>8&15))
		b >>= e & 63
		n -= uint(e)
		b |= binary.LittleEndian.Uint64(r[i:]) << (n & 63)
		pos += int(i + ^n>>3&7)
		n |= 56
		e = d.joined[b&(1<<litLenBits-1)]
		from := out - dist
		if from < 0 {
			s.bad = true
			break
		}
		stop := out + length
		if dist < 16 {
			repeat(dst, out, dist, length)
			out = stop
			continue
		}
		for {
			to, match := (*[step]byte)(dst[out:]), (*[step]byte)(dst[from:])
			*(*[16]byte)(to[:]) = *(*[16]byte)(match[:])
			*(*[16]byte)(to[16:]) = *(*[16]byte)(match[16:])
			if out, from = out+step, from+step; out >= stop {
				break
			}
		}
		out = stop
	}
	n &= 63
	s.in.pos, s.in.b, s.in.n, s.out = pos, b&(1<<n-1), n, out
}

// room reports whether a round of fast has enough input and output.
func (s *stream) room() bool { return len(s.in.src)-s.in.pos >= fastIn && len(s.dst)-s.out >= fastOut }

// repeats holds, for distances below 8, the factor that repeats that many bytes, and how many of 8
// bytes are complete repetitions.
var repeats = [8]struct {
	factor uint64
	whole  int
}{1: {0x0101010101010101, 8}, 2: {0x0001000100010001, 8}, 3: {0x0001000001000001, 6}, 4: {0x0000000100000001, 8},
	5: {0x0000010000000001, 5}, 6: {0x0001000000000001, 6}, 7: {0x0100000000000001, 7}}

// repeat copies a match at a distance below 16 to out. It can write up to 8 bytes more.
func repeat(dst []byte, out, dist, length int) {
	from, stop := out-dist, out+length
	if dist >= 8 {
		for ; out < stop; from, out = from+8, out+8 {
			binary.LittleEndian.PutUint64(dst[out:], binary.LittleEndian.Uint64(dst[from:]))
		}
		return
	}
	r := &repeats[dist&7]
	v := binary.LittleEndian.Uint64(dst[from:]) & (1<<(8*dist&63) - 1) * r.factor
	for ; out < stop; out += r.whole {
		binary.LittleEndian.PutUint64(dst[out:], v)
	}
}
