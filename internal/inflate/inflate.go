// Package inflate decompresses raw deflate streams (RFC 1951) from memory to memory. The output is one
// slice of known length, so matches are copied within it and no window is needed. Together with a
// 64-bit bit buffer, this makes it faster than a streaming decompressor. Decoding two streams in turns
// is faster than one after the other.
package inflate

import (
	"encoding/binary"
	"errors"
	"sync"
)

// ErrCorrupt means that the input is not a valid deflate stream or ends too early.
var ErrCorrupt = errors.New("corrupt deflate data")

const (
	maxBits     = 15
	litLenCodes = 288
	distCodes   = 32
	lenCodes    = 19
	endOfBlock  = 256 // symbol

	litLenBits = 11 // index bits of the first lookup
	distBits   = 9
	preBits    = 7
)

// A table entry has 32 bits. The low 6 bits are the total number of input bits of its codes and extra
// bits, including earlier lookups. The 4 bits from bit 8 on are how many of these belong to codes.
//
//   - In the tables of literals and lengths, the 2 bits from bit 12 on are the number of literals.
//     A literal is at bit 14. At bit 22 is a second literal or, with flagMatch, the
//     base of a length. One entry can have a literal followed by a length.
//   - In the table of distances, the upper 16 bits are the base of a distance.
//   - With flagSpecial an entry is neither. With flagSubtable the upper 16 bits are the start of a
//     subtable, and the low 4 its number of index bits. Otherwise flagEnd marks the end of the
//     block, and an entry without it an invalid code. flagSpecial implies flagMatch, so that
//     flagMatch is set in all entries except those with only literals.
//
// The assembly depends on this layout.
const (
	codeLen       = 1<<8 | 1 // one bit of a code
	flagSubtable  = 1 << 6
	flagSpecial   = 1 << 7
	oneLiteral    = 1 << 12
	flagEnd       = 1 << 12 // with flagSpecial
	flagMatch     = 1 << 31
	entryBad      = flagSpecial | flagMatch
	entryEnd      = flagSpecial | flagMatch | flagEnd
	entrySubtable = flagSpecial | flagMatch | flagSubtable
)

var (
	lengthBase = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthBits = [29]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distBase   = [30]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distExtra  = [30]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
	lenOrder   = [lenCodes]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

// A decoder holds the tables of one block. Subtables follow the first lookup. The table sizes are those
// that zlib's "enough" computes, rounded up.
type decoder struct {
	litLen  [1<<litLenBits + 1024]uint32
	dist    [1<<distBits + 512]uint32
	joined  [1 << litLenBits]uint32 // first lookup of fast
	pre     [1 << preBits]uint32
	lens    [litLenCodes + distCodes]uint8
	literal bool                // most symbols are literals
	sorted  [litLenCodes]uint16 // result of build
	count   [maxBits + 1]int
}

// Decode decompresses the deflate stream at the start of src into dst and returns the number of bytes.
// That is less than len(dst) if the stream is shorter. Decode stops when dst is full and ignores the
// rest of src. Its error is [ErrCorrupt].
func Decode(dst, src []byte) (int, error) {
	p := pairs.Get().(*pair)
	defer p.free()
	s := &p[0]
	s.start(dst, src)
	for s.next() {
		s.fast()
	}
	return s.out, s.err
}

// A Job holds the arguments and the results of a call of Decode.
type Job struct {
	Dst, Src []byte

	N   int
	Err error
}

// DecodeAll runs all jobs, two at a time in turns: while one waits for memory or for a result, the
// other continues. The destinations must not overlap.
func DecodeAll(jobs []Job) {
	p := pairs.Get().(*pair)
	defer p.free()
	rest := jobs
	var at [len(p)]*Job // jobs of the streams
	// goes reports whether a stream can continue, with the next job if its own is done.
	goes := func(lane int) bool {
		s := &p[lane]
		for at[lane] != nil || len(rest) > 0 {
			if at[lane] == nil {
				at[lane], rest = &rest[0], rest[1:]
				s.start(at[lane].Dst, at[lane].Src)
			}
			if s.next() {
				return true
			}
			at[lane].N, at[lane].Err = s.out, s.err
			at[lane] = nil
		}
		return false
	}
	first, second := goes(0), goes(1)
	for first && second {
		p.fast()
		first, second = goes(0), goes(1)
	}
	for lane := range p {
		for at[lane] != nil && goes(lane) {
			p[lane].fast()
		}
	}
}

// A pair is two streams that can be decoded in turns.
type pair [2]stream

var pairs = sync.Pool{New: func() any { return new(pair) }}

// free puts p back into the pool, without references to its input and output.
func (p *pair) free() {
	for i := range p {
		p[i].in, p[i].dst = input{}, nil
	}
	pairs.Put(p)
}

// A stream is the state of decoding one input.
type stream struct {
	decoder
	in    input
	dst   []byte
	out   int
	block bool // within a compressed block
	stuck bool // fast stopped at an entry that it cannot decode
	bad   bool // fast found an error
	final bool // in the last block
	err   error
}

func (s *stream) start(dst, src []byte) {
	s.in, s.dst, s.out, s.err = input{src: src}, dst, 0, nil
	s.block, s.stuck, s.bad, s.final = false, false, false, false
}

// next decodes up to a place where fast can continue, and reports whether it reached one. Otherwise the
// stream ended, dst is full, or an error occurred.
func (s *stream) next() bool {
	for s.err == nil {
		if s.bad {
			s.err = ErrCorrupt
			return false
		}
		if s.block {
			if !s.stuck && s.room() {
				return true
			}
			s.stuck = false
			s.slow()
			continue
		}
		if s.final || s.out == len(s.dst) {
			return false
		}
		s.header()
	}
	return false
}

// header reads the header of a block, and all of a stored block.
func (s *stream) header() {
	in := &s.in
	in.refill()
	if in.n < 3 {
		s.err = ErrCorrupt
		return
	}
	s.final = in.take(1) == 1
	switch in.take(2) {
	case 0:
		s.out, s.err = in.stored(s.dst, s.out)
	case 1:
		s.fixed()
		s.block = true
	case 2:
		s.err = s.dynamic(in)
		s.block = true
	default:
		s.err = ErrCorrupt
	}
}

// input holds the unused bits: n bits in b, lowest first, and then src from pos on. Bits of b above n
// are zero.
type input struct {
	src []byte
	pos int
	b   uint64
	n   uint
}

// refill makes n at least 56 if the input is long enough.
func (in *input) refill() {
	if len(in.src)-in.pos >= 8 {
		in.b |= binary.LittleEndian.Uint64(in.src[in.pos:]) << in.n
		k := (63 - in.n) >> 3
		in.pos += int(k)
		in.n += k * 8
		// Clear the bits above n: they belong to the bytes at pos, which the next refill adds.
		in.b &= 1<<in.n - 1
		return
	}
	for in.n <= 56 && in.pos < len(in.src) {
		in.b |= uint64(in.src[in.pos]) << in.n
		in.pos++
		in.n += 8
	}
}

// take removes k bits, which must be in the buffer.
func (in *input) take(k uint) uint {
	v := uint(in.b & (1<<k - 1))
	in.b >>= k
	in.n -= k
	return v
}

// stored copies a stored block.
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

// dynamic reads the codes of a block with dynamic Huffman codes.
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
	if !d.build(d.pre[:], preBits, lens[:], preValues[:]) {
		return ErrCorrupt
	}
	all := d.lens[:nlit+ndist]
	b, n := in.b, in.n
	for i := 0; i < len(all); {
		if n < preBits+7 {
			in.b, in.n = b, n
			in.refill()
			b, n = in.b, in.n
		}
		e := d.pre[b&(1<<preBits-1)]
		k := uint(e & 63)
		if e&flagSpecial != 0 || n < k {
			return ErrCorrupt
		}
		b, n = b>>(k&63), n-k
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
		if n < extra {
			return ErrCorrupt
		}
		rep := int(base + uint(b)&(1<<extra-1))
		b, n = b>>(extra&63), n-extra
		if rep > len(all)-i {
			return ErrCorrupt
		}
		for range rep {
			all[i] = value
			i++
		}
	}
	in.b, in.n = b, n
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
	// The fixed codes are complete.
	_ = d.codes(lens[:litLenCodes], lens[litLenCodes:])
}

// codes builds the tables for codes of these lengths.
func (d *decoder) codes(litLen, dist []uint8) error {
	if !d.build(d.litLen[:], litLenBits, litLen, litLenValues[:]) {
		return ErrCorrupt
	}
	d.join()
	d.literal = mostlyLiterals(litLen)
	if !d.build(d.dist[:], distBits, dist, distValues[:]) {
		return ErrCorrupt
	}
	return nil
}

// mostlyLiterals estimates from the lengths of the codes whether at least seven of eight symbols are
// literals. A code of n bits stands for a share of 2^-n of all symbols. The unused share of incomplete
// codes counts as literals.
func mostlyLiterals(lens []uint8) bool {
	share := 0 // share of all other symbols
	for _, n := range lens[endOfBlock:] {
		share += 1 << maxBits >> n & (1<<maxBits - 1)
	}
	return share <= 1<<maxBits/8
}

// These are the entries of the symbols, without the lengths of their codes.
var preValues, litLenValues, distValues = values()

// afterValues are what the symbols add to the entry of a preceding literal.
var afterValues = func() (after [litLenCodes]uint32) {
	after = litLenValues
	for i := range endOfBlock {
		after[i] = uint32(i)<<22 | oneLiteral
	}
	return
}()

func values() (pre [lenCodes]uint32, litLen [litLenCodes]uint32, dist [distCodes]uint32) {
	for i := range pre {
		pre[i] = uint32(i) << 16
	}
	for i := range litLen {
		switch {
		case i < 256:
			litLen[i] = uint32(i)<<14 | oneLiteral
		case i == 256:
			litLen[i] = entryEnd
		case i-257 < len(lengthBase):
			litLen[i] = flagMatch | uint32(lengthBase[i-257])<<22 | uint32(lengthBits[i-257])
		default:
			litLen[i] = entryBad
		}
	}
	for i := range dist {
		dist[i] = entryBad
		if i < len(distBase) {
			dist[i] = uint32(distBase[i])<<16 | uint32(distExtra[i])
		}
	}
	return
}
