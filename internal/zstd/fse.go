package zstd

import (
	"encoding/binary"
	"math/bits"
)

const (
	maxFSELog  = 9 // the greatest of all tables
	maxSymbols = 256
	errCounts  = problem("the probabilities of a table are wrong (4.1.1)")
)

// A cell is an entry of a decoding table of FSE (4.1), as the assembly wants it: how many bits to add to the
// value in byte 0, how many bits to add to the next state in byte 1, the next state in the 16 bits behind it, and
// the value in the upper 32 bits.
type cell uint64

func (c cell) extra() uint { return uint(c & 63) }
func (c cell) bits() uint  { return uint(c >> 8 & 63) }
func (c cell) next() uint  { return uint(c >> 16 & 0xffff) }
func (c cell) value() uint { return uint(c >> 32) }

// counts are the probabilities of symbols, of 1<<log in all; -1 is less than one.
type counts struct {
	norm [maxSymbols]int16
	n    int // symbols
	log  uint
}

// read reads a table description from the start of src (4.1.1), and returns how many bytes it has.
func (c *counts) read(src []byte, maxLog uint, symbols int) (int, error) {
	// What is behind the end is zero.
	peek := func(pos uint) uint {
		var b [8]byte
		if i := int(pos >> 3); i < len(src) {
			copy(b[:], src[i:])
		}
		return uint(binary.LittleEndian.Uint64(b[:]) >> (pos & 7))
	}
	pos := uint(4)
	if c.log = peek(0)&15 + 5; c.log > maxLog {
		return 0, problem("the accuracy of a table is too great (4.1.1)")
	}
	c.n = 0
	remaining, threshold, width := 1<<c.log+1, 1<<c.log, c.log+1
	for remaining > 1 {
		if c.n >= symbols {
			return 0, errCounts
		}
		v := int(peek(pos))
		top := 2*threshold - 1 - remaining
		count := v & (threshold - 1)
		if count < top {
			pos += width - 1
		} else {
			if count = v & (2*threshold - 1); count >= threshold {
				count -= top
			}
			pos += width
		}
		count--
		remaining -= max(count, -count)
		c.norm[c.n] = int16(count)
		c.n++
		for count == 0 { // how many more are 0
			repeat := int(peek(pos) & 3)
			pos += 2
			if c.n+repeat > symbols {
				return 0, errCounts
			}
			clear(c.norm[c.n : c.n+repeat])
			c.n += repeat
			if repeat < 3 {
				break
			}
		}
		for remaining < threshold && threshold > 1 {
			width--
			threshold >>= 1
		}
		if pos > uint(8*len(src)) {
			return 0, problem("the description of a table is cut off (4.1.1)")
		}
	}
	if remaining != 1 {
		return 0, errCounts
	}
	return int(pos+7) / 8, nil
}

// A table decodes the symbols of FSE. Index is the state, of log bits.
type table struct {
	cells [1 << maxFSELog]cell
	log   uint
	ready bool // it was built, and may be used again
}

// build makes the table of the probabilities (4.1.1). The values of the symbols are in base and extra.
func (t *table) build(c *counts, base []uint32, extra []uint8) error {
	t.ready = false
	size := 1 << c.log
	var symbols [1 << maxFSELog]uint8
	var next [maxSymbols]uint16
	high := size - 1
	for s, n := range c.norm[:c.n] {
		next[s] = uint16(n)
		if n < 0 {
			symbols[high] = uint8(s)
			high--
			next[s] = 1
		}
	}
	step, mask, pos := size>>1+size>>3+3, size-1, 0
	for s, n := range c.norm[:c.n] {
		for range n {
			symbols[pos] = uint8(s)
			pos = (pos + step) & mask
			for pos > high {
				pos = (pos + step) & mask
			}
		}
	}
	if pos != 0 {
		return errCounts
	}
	for i, s := range symbols[:size] {
		n := next[s]
		next[s]++
		width := c.log + 1 - uint(bits.Len16(n))
		t.cells[i] = cell(extra[s]) | cell(width)<<8 | cell(n<<width-uint16(size))<<16 | cell(base[s])<<32
	}
	t.log, t.ready = c.log, true
	return nil
}

// one makes a table of one symbol.
func (t *table) one(base uint32, extra uint8) {
	t.cells[0] = cell(extra) | cell(base)<<32
	t.log, t.ready = 0, true
}

// A backward is a bit stream that is read from its end (4.1). What it takes of the bytes in front of its start
// counts as an overrun; there must be [before] of them.
type backward struct {
	buf   []byte
	start int
	pos   int // of the 8 bytes in v
	v     uint64
	used  uint // bits of v, from the top
}

// before is how many bytes have to be in front of a bit stream.
const before = 32

// init starts at the end of buf[start:], where a 1 bit marks it.
func (b *backward) init(buf []byte, start int) error {
	if len(buf) <= start || buf[len(buf)-1] == 0 {
		return problem("a bit stream has no end (4.1)")
	}
	b.buf, b.start, b.pos = buf, start, len(buf)-8
	b.v = binary.LittleEndian.Uint64(buf[b.pos:])
	b.used = uint(bits.LeadingZeros64(b.v)) + 1
	return nil
}

// get reads up to 32 bits. Before each 57 bits comes a fill.
func (b *backward) get(n uint) uint {
	v := uint(b.v << (b.used & 63) >> 1 >> ((63 - n) & 63))
	b.used += n
	return v
}

func (b *backward) fill() {
	b.pos -= int(b.used >> 3)
	b.used &= 7
	b.v = binary.LittleEndian.Uint64(b.buf[b.pos:])
}

// left returns how many bits are left; less than none after an overrun.
func (b *backward) left() int { return (b.pos-b.start)*8 + 64 - int(b.used) }
