// Package inflate decompresses raw deflate streams (RFC 1951) from memory to
// memory. The output is one slice whose length is known beforehand, so matches are
// copied within it and no window is kept; that, and a bit buffer of 64 bits, makes
// it faster than a decompressor of streams.
package inflate

import (
	"encoding/binary"
	"errors"
	"sync"
)

// ErrCorrupt: the input is no deflate stream, or it ends too early.
var ErrCorrupt = errors.New("corrupt deflate data")

const (
	maxBits     = 15
	litLenCodes = 288
	distCodes   = 32
	lenCodes    = 19

	litLenBits = 11 // of the first lookup
	distBits   = 9
	preBits    = 7
)

// A table entry is 32 bits: the low 8 are how many bits of input it takes in all,
// code and extra bits; the next 4 how many of these are the code, or how many literals
// there are; then flags; the upper 16 are the literals, the base of a length or distance,
// or the start of a subtable, whose index bits are then in the low 8.
const (
	flagLiteral  = 1 << 15
	flagSubtable = 1 << 14
	flagEnd      = 1 << 13
	flagBad      = 1 << 12
)

var (
	lengthBase = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthBits = [29]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distBase   = [30]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distExtra  = [30]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
	lenOrder   = [lenCodes]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

// A decoder holds the tables of one block. Subtables follow the first lookup: their
// room is what zlib's "enough" computes for these sizes, rounded up.
type decoder struct {
	litLen [1<<litLenBits + 1024]uint32
	dist   [1<<distBits + 512]uint32
	pairs  [1 << litLenBits]uint32 // the first lookup of fast
	paired bool                    // whether it is worth having pairs there
	pre    [1 << preBits]uint32
	lens   [litLenCodes + distCodes]uint8
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// Decode fills dst with what the deflate stream at the start of src gives, and
// returns how many bytes that are: less than len(dst) if the stream ends before. It
// stops when dst is full, and does not look at what follows.
func Decode(dst, src []byte) (int, error) {
	d := decoders.Get().(*decoder)
	defer decoders.Put(d)
	in := input{src: src}
	out := 0
	for out < len(dst) {
		in.refill()
		if in.n < 3 {
			return out, ErrCorrupt
		}
		final, kind := in.take(1), in.take(2)
		var err error
		switch kind {
		case 0:
			out, err = in.stored(dst, out)
		case 1:
			d.fixed()
			out, err = d.block(&in, dst, out)
		case 2:
			if err = d.dynamic(&in); err == nil {
				out, err = d.block(&in, dst, out)
			}
		default:
			err = ErrCorrupt
		}
		if err != nil || final == 1 {
			return out, err
		}
	}
	return out, nil
}

// input is the bits that were not used yet: n in b, lowest first, and then src from
// pos on. Past the end of src there are no bits; b holds zeros above n.
type input struct {
	src []byte
	pos int
	b   uint64
	n   uint
}

// refill makes n at least 56, if there is so much input.
func (in *input) refill() {
	if len(in.src)-in.pos >= 8 {
		in.b |= binary.LittleEndian.Uint64(in.src[in.pos:]) << in.n
		k := (63 - in.n) >> 3
		in.pos += int(k)
		in.n += k * 8
		// The bits above n are those of the bytes at pos, which are added again.
		in.b &= 1<<in.n - 1
		return
	}
	for in.n <= 56 && in.pos < len(in.src) {
		in.b |= uint64(in.src[in.pos]) << in.n
		in.pos++
		in.n += 8
	}
}

// take removes k bits, which are there.
func (in *input) take(k uint) uint {
	v := uint(in.b & (1<<k - 1))
	in.b >>= k
	in.n -= k
	return v
}

// stored copies a block that is not compressed.
func (in *input) stored(dst []byte, out int) (int, error) {
	in.take(in.n & 7)
	in.pos -= int(in.n / 8)
	in.b, in.n = 0, 0
	if len(in.src)-in.pos < 4 {
		return out, ErrCorrupt
	}
	n := int(binary.LittleEndian.Uint16(in.src[in.pos:]))
	if n^0xffff != int(binary.LittleEndian.Uint16(in.src[in.pos+2:])) {
		return out, ErrCorrupt
	}
	in.pos += 4
	rest := in.src[in.pos:]
	want := min(n, len(dst)-out)
	if len(rest) < want {
		return out + copy(dst[out:], rest), ErrCorrupt
	}
	copy(dst[out:], rest[:want])
	in.pos += want
	return out + want, nil
}

// dynamic reads the codes of a block.
func (d *decoder) dynamic(in *input) error {
	in.refill()
	if in.n < 14 {
		return ErrCorrupt
	}
	nlit, ndist, nlen := int(in.take(5))+257, int(in.take(5))+1, int(in.take(4))+4
	if nlit > 286 || ndist > 30 {
		return ErrCorrupt
	}
	var lens [lenCodes]uint8
	for i := range nlen {
		in.refill()
		if in.n < 3 {
			return ErrCorrupt
		}
		lens[lenOrder[i]] = uint8(in.take(3))
	}
	if !build(d.pre[:], preBits, lens[:], func(sym int) (uint32, uint8) { return uint32(sym) << 16, 0 }) {
		return ErrCorrupt
	}
	all := d.lens[:nlit+ndist]
	for i := 0; i < len(all); {
		in.refill()
		e := d.pre[in.b&(1<<preBits-1)]
		k := uint(e & 0xff)
		if e&flagBad != 0 || in.n < k {
			return ErrCorrupt
		}
		in.take(k)
		sym := e >> 16
		if sym < 16 {
			all[i] = uint8(sym)
			i++
			continue
		}
		var base, extra uint
		var value uint8
		switch sym {
		case 16:
			if i == 0 {
				return ErrCorrupt
			}
			base, extra, value = 3, 2, all[i-1]
		case 17:
			base, extra = 3, 3
		default:
			base, extra = 11, 7
		}
		if in.n < extra {
			return ErrCorrupt
		}
		rep := int(base + in.take(extra))
		if rep > len(all)-i {
			return ErrCorrupt
		}
		for range rep {
			all[i] = value
			i++
		}
	}
	return d.codes(all[:nlit], all[nlit:])
}

// fixed sets the codes of RFC 1951, section 3.2.6.
func (d *decoder) fixed() {
	lens := d.lens[:]
	for i := range lens {
		switch {
		case i < 144:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		case i < 280:
			lens[i] = 7
		case i < 288:
			lens[i] = 8
		default:
			lens[i] = 5
		}
	}
	// These codes are complete.
	_ = d.codes(lens[:litLenCodes], lens[litLenCodes:])
}

// codes makes the tables of the codes with these lengths.
func (d *decoder) codes(litLen, dist []uint8) error {
	ok := build(d.litLen[:], litLenBits, litLen, func(sym int) (uint32, uint8) {
		switch {
		case sym < 256:
			return uint32(sym)<<16 | flagLiteral, 0
		case sym == 256:
			return flagEnd, 0
		case sym-257 < len(lengthBase):
			return uint32(lengthBase[sym-257]) << 16, lengthBits[sym-257]
		}
		return flagBad, 0
	})
	ok = ok && build(d.dist[:], distBits, dist, func(sym int) (uint32, uint8) {
		if sym < len(distBase) {
			return uint32(distBase[sym]) << 16, distExtra[sym]
		}
		return flagBad, 0
	})
	if !ok {
		return ErrCorrupt
	}
	d.paired = pairing(litLen[:256])
	return nil
}
