package zstd

// Symbols of lengths of literals, offsets and lengths of matches (3.1.1.3.2.1.1).
const (
	litLens, maxLitLog     = 36, 9
	offsets, maxOffsetLog  = 32, 8
	matchLens, maxMatchLog = 53, 9
	minMatch               = 3
)

// A code is one of the three kinds of symbols: what they mean, and the table where none is given (3.1.1.3.2.2).
type code struct {
	base    []uint32
	extra   []uint8
	log     uint
	problem problem
	normal  table
}

var litLenCode = newCode("of lengths of literals", 0, []uint8{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, maxLitLog, 6,
	[]int16{4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1})

var matchLenCode = newCode("of lengths of matches", minMatch, []uint8{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, maxMatchLog, 6,
	[]int16{1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1})

// offsetCode gives a number from which one of the last offsets, or a new one, is told: see window.offset.
var offsetCode = newCode("of offsets", 1, []uint8{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31}, maxOffsetLog, 5,
	[]int16{1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1})

// newCode returns a code: each value is the last one and what the extra bits of that can add.
func newCode(name string, first uint32, extra []uint8, log, normal uint, norm []int16) *code {
	c := &code{extra: extra, log: log, problem: problem("the table " + name + " is wrong (3.1.1.3.2.1)")}
	for _, n := range extra {
		c.base = append(c.base, first)
		first += 1 << n
	}
	p := counts{n: len(norm), log: normal}
	copy(p.norm[:], norm)
	if err := c.normal.build(&p, c.base, c.extra); err != nil {
		panic(err) // of what is above
	}
	return c
}

// A coder has the table of a code that is in use.
type coder struct {
	*code
	now *table // the normal one, own, or nil
	own table
}

// read takes the table that mode says (3.1.1.3.2.1), and returns how much of src it has.
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
		return 0, problem("a table is to be used again, and there is none (3.1.1.3.2.1)")
	}
	return 0, nil
}

// A sequence is what is to be copied: literals, and then a match (3.1.1.3.2). The assembly knows this.
type sequence struct {
	literals, match uint32 // lengths
	offset          uint32 // as it is coded
}

// sequences decode those of a block. The assembly knows this.
type sequences struct {
	bits                 backward
	litLen, offset, mLen *table
	l, o, m              cell
	dst                  []sequence
	n                    int    // of dst, decoded
	literals, match      uint64 // sums of the lengths
}

var errSequences = problem("the sequences do not end where their bits do (3.1.1.3.2)")

// decode decodes as many sequences as there are in dst.
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

// runGeneric decodes the sequences, until the bits are over. After the last one no state changes.
func (s *sequences) runGeneric() {
	b := s.bits
	l, o, m := s.l, s.o, s.m
	litLens, offsets, matchLens := &s.litLen.cells, &s.offset.cells, &s.mLen.cells
	for b.pos >= b.start-8 {
		b.fill()
		offset := o.value() + b.get(o.extra())
		if l.extra()+m.extra()+o.extra() > 30 {
			b.fill() // 26 bits are for the states
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
