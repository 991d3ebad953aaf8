package zstd

import (
	"encoding/binary"
	"math/bits"
)

const (
	maxFSELog  = 9 // maximum accuracy log of all tables
	maxSymbols = 256
	errCounts  = problem("invalid probabilities of an FSE table (4.1.1)")
)

// A cell is an entry of an FSE decoding table (4.1), in the layout that the assembly needs. Byte 0 is
// the number of bits to add to the value, and byte 1 the number of bits to add to the next state. The
// next state is in the 16 bits behind them, and the value in the upper 32 bits.
type cell uint64

func (c cell) extra() uint { return uint(c & 63) }
func (c cell) bits() uint  { return uint(c >> 8 & 63) }
func (c cell) next() uint  { return uint(c >> 16 & 0xffff) }
func (c cell) value() uint { return uint(c >> 32) }

// counts holds the probabilities of symbols, which add up to 1<<log. A probability of -1 is "less than
// 1".
type counts struct {
	norm [maxSymbols]int16
	n    int // number of symbols
	log  uint
}

// read reads a table description from the start of src (4.1.1), and returns its length in bytes.
func (c *counts) read(src []byte, maxLog uint, symbols int) (int, error) {
	// Bytes behind the end read as zeros.
	peek := func(pos uint) uint {
		var b [8]byte
		if i := int(pos >> 3); i < len(src) {
			copy(b[:], src[i:])
		}
		return uint(binary.LittleEndian.Uint64(b[:]) >> (pos & 7))
	}
	pos := uint(4)
	if c.log = peek(0)&15 + 5; c.log > maxLog {
		return 0, problem("the accuracy of an FSE table is too high (4.1.1)")
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
		for count == 0 { // read how many more are 0
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
			return 0, problem("the description of an FSE table is truncated (4.1.1)")
		}
	}
	if remaining != 1 {
		return 0, errCounts
	}
	return int(pos+7) / 8, nil
}

// A table decodes FSE symbols. Its index is the state, which has log bits.
type table struct {
	cells [1 << maxFSELog]cell
	log   uint
	ready bool // was built and can be reused
}

// build builds the table for the probabilities (4.1.1). base and extra define the values of the
// symbols.
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

// one makes a table with a single symbol.
func (t *table) one(base uint32, extra uint8) {
	t.cells[0] = cell(extra) | cell(base)<<32
	t.log, t.ready = 0, true
}

// A backward is a bit stream that is read from its end (4.1). Reading past its start counts as an
// overrun. There must be [before] readable bytes before the start.
type backward struct {
	buf   []byte
	start int
	pos   int // position of the 8 bytes in v
	v     uint64
	used  uint // used bits of v, from the top
}

// before is the number of readable bytes that must precede a bit stream.
const before = 32

// init starts at the end of buf[start:], which a 1 bit marks.
func (b *backward) init(buf []byte, start int) error {
	if len(buf) <= start || buf[len(buf)-1] == 0 {
		return problem("a bit stream has no end marker (4.1)")
	}
	b.buf, b.start, b.pos = buf, start, len(buf)-8
	b.v = binary.LittleEndian.Uint64(buf[b.pos:])
	b.used = uint(bits.LeadingZeros64(b.v)) + 1
	return nil
}

// get reads up to 32 bits. At most 57 bits can be read between two calls of fill.
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

// left returns the number of remaining bits. It is negative after an overrun.
func (b *backward) left() int { return (b.pos-b.start)*8 + 64 - int(b.used) }
