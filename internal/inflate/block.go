package inflate

import "encoding/binary"

// slow decodes symbols of a block where fast stopped. It ends at the end of the block, when dst is
// full, or when fast can continue. A length code and a distance code take at most 48 bits together, so
// the bit buffer must hold that many.
func (s *stream) slow() {
	d, dst, out, in := &s.decoder, s.dst, s.out, &s.in
	src, pos, b, n := in.src, in.pos, in.b, in.n
	defer func() {
		in.pos, in.b, in.n, s.out = pos, b, n, out
	}()
	for out < len(dst) {
		if n < 48 {
			if len(src)-pos >= 8 {
				b |= binary.LittleEndian.Uint64(src[pos:]) << (n & 63)
				k := (63 - n) >> 3
				pos += int(k)
				n += k * 8
				b &= 1<<(n&63) - 1
			} else {
				for n <= 56 && pos < len(src) {
					b |= uint64(src[pos]) << (n & 63)
					pos++
					n += 8
				}
			}
		}
		e := d.litLen[b&(1<<litLenBits-1)]
		if e&flagSubtable != 0 {
			e = d.litLen[e>>16&0x7fff+uint32(b>>litLenBits)&(1<<(e&15)-1)]
		}
		k := uint(e & 63)
		if k > n {
			s.err = ErrCorrupt
			return
		}
		if e&flagSpecial != 0 {
			if e&flagEnd == 0 {
				s.err = ErrCorrupt
				return
			}
			b >>= k
			n -= k
			s.block = false
			return
		}
		if e&flagMatch == 0 {
			b >>= k
			n -= k
			dst[out] = byte(e >> 14)
			out++
			continue
		}
		length := int(e>>22&511) + int(b&(1<<k-1)>>(e>>8&15))
		b >>= k
		n -= k

		e = d.dist[b&(1<<distBits-1)]
		if e&flagSubtable != 0 {
			e = d.dist[e>>16&0x7fff+uint32(b>>distBits)&(1<<(e&15)-1)]
		}
		k = uint(e & 63)
		if k > n || e&flagSpecial != 0 {
			s.err = ErrCorrupt
			return
		}
		dist := int(e>>16) + int(b&(1<<k-1)>>(e>>8&15))
		b >>= k
		n -= k
		if dist > out {
			s.err = ErrCorrupt
			return
		}
		end := out + length
		if dist >= 8 && end+8 <= len(dst) {
			// Copy eight bytes at a time, even past the end: nothing has been written there yet.
			for from := out - dist; out < end; from, out = from+8, out+8 {
				binary.LittleEndian.PutUint64(dst[out:], binary.LittleEndian.Uint64(dst[from:]))
			}
			out = end
			continue
		}
		end = min(end, len(dst))
		for from := out - dist; out < end; {
			// Each round doubles the bytes to copy from.
			out += copy(dst[out:end], dst[from:out])
		}
	}
	s.block = false // dst is full
}
