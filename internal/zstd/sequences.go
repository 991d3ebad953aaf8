package zstd

// The symbols are literal lengths, offsets and match lengths (3.1.1.3.2.1.1).
const (
	litLens, maxLitLog     = 36, 9
	offsets, maxOffsetLog  = 32, 8
	matchLens, maxMatchLog = 53, 9
	minMatch               = 3
)

// A code is one of the three kinds of symbols: their meaning and the default table (3.1.1.3.2.2).
type code struct {
	base    []uint32
	extra   []uint8
	log     uint
	problem problem
	normal  table
}

var litLenCode = newCode("of literal lengths", 0, []uint8{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, maxLitLog, 6,
	[]int16{4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1})

var matchLenCode = newCode("of match lengths", minMatch, []uint8{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, maxMatchLog, 6,
	[]int16{1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1})

// offsetCode decodes a number that selects a recent or a new offset; see composition.offset.
var offsetCode = newCode("of offsets", 1, []uint8{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31}, maxOffsetLog, 5,
	[]int16{1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1})

// newCode returns a code. Each value is the previous one plus the range of its extra bits.
func newCode(name string, first uint32, extra []uint8, log, normal uint, norm []int16) *code {
	c := &code{extra: extra, log: log, problem: problem("invalid table " + name + " (3.1.1.3.2.1)")}
	for _, n := range extra {
		c.base = append(c.base, first)
		first += 1 << n
	}
	p := counts{n: len(norm), log: normal}
	copy(p.norm[:], norm)
	if err := c.normal.build(&p, c.base, c.extra); err != nil {
		panic(err) // the default table is invalid
	}
	return c
}

// A coder holds the current table of a code.
type coder struct {
	*code
	now *table // the default table, &own, or nil
	own table
}

// read selects or reads the table for mode (3.1.1.3.2.1), and returns how many bytes of src it used.
func (c *coder) read(mode byte, src []byte, p *counts) (int, error) {
	switch mode {
	case 0:
		c.now = &c.normal
		return 0, nil
	case 1:
		if len(src) == 0 || int(src[0]) >= len(c.base) {
			return 0, c.problem
		}
		c.own.one(c.base[src[0]], c.extra[src[0]])
		c.now = &c.own
		return 1, nil
	case 2:
		c.now = nil
		n, err := p.read(src, c.log, len(c.base))
		if err != nil {
			return 0, err
		}
		if err := c.own.build(p, c.base, c.extra); err != nil {
			return 0, err
		}
		c.now = &c.own
		return n, nil
	}
	if c.now == nil {
		return 0, problem("a block reuses a sequence table, but the frame has none (3.1.1.3.2.1)")
	}
	return 0, nil
}

// A sequence says what to copy: literals, then a match (3.1.1.3.2). The assembly depends on its fields.
type sequence struct {
	literals, match uint32 // lengths
	offset          uint32 // as encoded
}

// sequences decodes the sequences of a block. The assembly depends on its fields.
type sequences struct {
	bits                 backward
	litLen, offset, mLen *table
	l, o, m              cell
	dst                  []sequence
	n                    int    // number of decoded sequences in dst
	literals, match      uint64 // sums of the lengths
}

var errSequences = problem("the sequences do not end at the end of their bit stream (3.1.1.3.2)")

// decode decodes len(dst) sequences.
func (s *sequences) decode(buf []byte, at int) error {
	if err := s.bits.init(buf, at); err != nil {
		return err
	}
	s.n, s.literals, s.match = 0, 0, 0
	s.l = s.litLen.cells[s.bits.get(s.litLen.log)]
	s.o = s.offset.cells[s.bits.get(s.offset.log)]
	s.m = s.mLen.cells[s.bits.get(s.mLen.log)]
	s.run()
	if s.n < len(s.dst) || s.bits.left() != 0 {
		return errSequences
	}
	return nil
}

// runGeneric decodes sequences until the bits are used up. The last sequence does not update the
// states.
func (s *sequences) runGeneric() {
	b := s.bits
	l, o, m := s.l, s.o, s.m
	litLens, offsets, matchLens := &s.litLen.cells, &s.offset.cells, &s.mLen.cells
	for b.pos >= b.start-8 {
		b.fill()
		offset := o.value() + b.get(o.extra())
		if l.extra()+m.extra()+o.extra() > 30 {
			b.fill() // the states need 26 bits
		}
		match := m.value() + b.get(m.extra())
		lits := l.value() + b.get(l.extra())
		s.dst[s.n] = sequence{uint32(lits), uint32(match), uint32(offset)}
		s.literals += uint64(lits)
		s.match += uint64(match)
		if s.n++; s.n == len(s.dst) {
			break
		}
		if l.extra()+m.extra()+o.extra() > 30 {
			b.fill()
		}
		l = litLens[(l.next()+b.get(l.bits()))&(1<<maxFSELog-1)]
		m = matchLens[(m.next()+b.get(m.bits()))&(1<<maxFSELog-1)]
		o = offsets[(o.next()+b.get(o.bits()))&(1<<maxFSELog-1)]
	}
	s.bits = b
}
