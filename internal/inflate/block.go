package inflate

import "encoding/binary"

// block decodes the symbols of a block, up to its end or until dst is full. A code
// for a length and one for a distance take 48 bits at most, which so is what must be
// in the bit buffer before them.
func (d *decoder) block(in *input, dst []byte, out int) (int, error) {
	out, end, err := d.fast(in, dst, out)
	if end || err != nil {
		return out, err
	}
	src, pos, b, n := in.src, in.pos, in.b, in.n
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
			if n < litLenBits {
				return out, ErrCorrupt
			}
			b >>= litLenBits
			n -= litLenBits
			e = d.litLen[(e>>16)+uint32(b&(1<<(e&0xff)-1))]
		}
		k := uint(e & 0xff)
		if k > n {
			return out, ErrCorrupt
		}
		if e&flagLiteral != 0 {
			b >>= k & 63
			n -= k
			dst[out] = byte(e >> 16)
			out++
			continue
		}
		if e&(flagEnd|flagBad) != 0 {
			if e&flagBad != 0 {
				return out, ErrCorrupt
			}
			b >>= k & 63
			n -= k
			break
		}
		length := int(e>>16) + int(b&(1<<k-1)>>(e>>8&0xf))
		b >>= k & 63
		n -= k

		e = d.dist[b&(1<<distBits-1)]
		if e&flagSubtable != 0 {
			if n < distBits {
				return out, ErrCorrupt
			}
			b >>= distBits
			n -= distBits
			e = d.dist[(e>>16)+uint32(b&(1<<(e&0xff)-1))]
		}
		k = uint(e & 0xff)
		if k > n || e&flagBad != 0 {
			return out, ErrCorrupt
		}
		dist := int(e>>16) + int(b&(1<<k-1)>>(e>>8&0xf))
		b >>= k & 63
		n -= k
		if dist > out {
			return out, ErrCorrupt
		}
		end := out + length
		if dist >= 8 && end+8 <= len(dst) {
			// Eight bytes at a time, also past the end: what is there is not
			// written yet.
			for from := out - dist; out < end; from, out = from+8, out+8 {
				binary.LittleEndian.PutUint64(dst[out:], binary.LittleEndian.Uint64(dst[from:]))
			}
			out = end
			continue
		}
		end = min(end, len(dst))
		for from := out - dist; out < end; {
			// Each round there is twice as much to copy from.
			out += copy(dst[out:end], dst[from:out])
		}
	}
	in.pos, in.b, in.n = pos, b, n
	return out, nil
}
