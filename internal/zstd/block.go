package zstd

import "encoding/binary"

// A kind is the kind of an action.
type kind uint8

const (
	begin    kind = iota // begin a frame
	stored               // copy literals
	repeated             // repeat one literal
	composed             // execute sequences
	end                  // end a frame
)

// slack is how many bytes may be read or written behind the source or destination of a copy.
const slack = 64

// An action is a parsed block, or the beginning or the end of a frame.
type action struct {
	kind   kind
	off    int64  // offset in the input
	header Header // for begin
	size   int    // size of the block's output
	sum    uint32 // for end, if the frame has a checksum
	lits   []byte // followed by slack, for composed
	seqs   []sequence
}

// A batch is a list of actions that the parser passes on at once.
type batch struct {
	actions []action
	size    int // size of their output
	lits    []byte
	seqs    []sequence
	err     error // error after the last action
}

// These are the sizes at which a batch is full.
const (
	batchSize    = 512 << 10
	batchActions = 64
)

// leastLiterals is the minimum size of a buffer for literals. Tests set it.
var leastLiterals = batchSize / 4

func (b *batch) reset() {
	b.actions, b.size, b.lits, b.seqs, b.err = b.actions[:0], 0, b.lits[:0], b.seqs[:0], nil
}

func (b *batch) full() bool { return b.size >= batchSize || len(b.actions) >= batchActions }

// literals returns space for n literals and slack.
func (b *batch) literals(n int, alloc func(int) []byte) []byte {
	at := len(b.lits)
	if cap(b.lits)-at < n+slack {
		// Slices returned before stay where they are.
		b.lits, at = alloc(max(n+slack, 2*cap(b.lits), leastLiterals))[:0], 0
	}
	b.lits = b.lits[:at+n+slack]
	return b.lits[at : at+n+slack]
}

// sequences returns space for n sequences.
func (b *batch) sequences(n int) []sequence {
	at := len(b.seqs)
	if cap(b.seqs)-at < n {
		b.seqs, at = make([]sequence, 0, max(n, 2*cap(b.seqs), 8<<10)), 0
	}
	b.seqs = b.seqs[:at+n]
	return b.seqs[at : at+n]
}

// A parser turns blocks into actions.
type parser struct {
	in     input
	alloc  func(n int) []byte
	window int64 // maximum window
	frame  Header
	inside bool // within a frame
	huff   huffman
	counts counts
	lit    coder
	offset coder
	match  coder
	seqs   sequences
}

func (p *parser) init() {
	p.lit.code, p.offset.code, p.match.code = litLenCode, offsetCode, matchLenCode
}

// compressed parses the compressed block buf[at:] (3.1.1.3).
func (p *parser) compressed(b *batch, a *action, buf []byte, at int) error {
	lits, at, err := p.literals(b, buf, at)
	if err != nil {
		return err
	}
	a.lits = lits
	n := len(lits) - slack
	seqs, err := p.sequences(b, buf, at)
	if err != nil {
		return err
	}
	a.seqs, a.size = seqs, n
	if len(seqs) > 0 {
		if p.seqs.literals > uint64(n) {
			return problem("the sequences use more literals than the block has (3.1.1.4)")
		}
		a.size += int(min(p.seqs.match, 2*MaxBlock))
	}
	if a.size > p.frame.block() {
		return errLong
	}
	return nil
}

var errLong = problem("a block is longer than the maximum (3.1.1.2.4)")
var errShort = problem("a block ends too early (3.1.1.3)")

// literals decodes the literals section (3.1.1.3.1), and returns its end.
func (p *parser) literals(b *batch, buf []byte, at int) ([]byte, int, error) {
	var head [8]byte
	copy(head[:], buf[at:])
	v := binary.LittleEndian.Uint64(head[:])
	how, format := v&3, v>>2&3
	var size, packed, header int
	four := format != 0
	if how < 2 {
		switch format {
		case 1:
			size, header = int(v>>4&(1<<12-1)), 2
		case 3:
			size, header = int(v>>4&(1<<20-1)), 3
		default:
			size, header = int(v>>3&(1<<5-1)), 1
		}
		if packed = size; how == 1 {
			packed = 1
		}
	} else {
		width := []uint{10, 10, 14, 18}[format]
		header = []int{3, 3, 4, 5}[format]
		size, packed = int(v>>4&(1<<width-1)), int(v>>4>>width&(1<<width-1))
	}
	if size > p.frame.block() {
		return nil, 0, problem("a block has more literals than the maximum block size (3.1.1.3.1)")
	}
	if packed > len(buf)-at-header {
		return nil, 0, errShort
	}
	at += header
	dst := b.literals(size, p.alloc)
	end := at + packed
	switch how {
	case 0:
		copy(dst, buf[at:end])
	case 1:
		fill(dst[:size], buf[at])
	default:
		var err error
		if how == 2 {
			if at, err = p.huff.read(buf[:end], at); err != nil {
				return nil, 0, err
			}
		}
		if !p.huff.ready {
			return nil, 0, problem("a block reuses a Huffman table, but the frame has none (3.1.1.3.1)")
		}
		if err := p.huff.decode(dst, size, buf[:end], at, four); err != nil {
			return nil, 0, err
		}
	}
	return dst, end, nil
}

// fill sets all bytes of dst to v.
func fill(dst []byte, v byte) {
	if len(dst) == 0 || v == 0 {
		clear(dst)
		return
	}
	dst[0] = v
	for n := 1; n < len(dst); n *= 2 {
		copy(dst[n:], dst[:n])
	}
}

// sequences decodes the sequences section (3.1.1.3.2), which ends at the end of buf.
func (p *parser) sequences(b *batch, buf []byte, at int) ([]sequence, error) {
	src := buf[at:]
	if len(src) == 0 {
		return nil, errShort
	}
	n, header := int(src[0]), 1
	switch {
	case n == 0:
		if len(src) > 1 {
			return nil, problem("a block has data after its end (3.1.1.3.2.1)")
		}
		return nil, nil
	case n == 255 && len(src) >= 3:
		n, header = int(binary.LittleEndian.Uint16(src[1:]))+0x7f00, 3
	case n == 255:
		return nil, errShort
	case n >= 128 && len(src) < 2:
		return nil, errShort
	case n >= 128:
		n, header = (n-128)<<8+int(src[1]), 2
	}
	if n == 0 {
		return nil, problem("a count of no sequences has an invalid encoding (3.1.1.3.2.1)")
	}
	if n*minMatch > p.frame.block() {
		return nil, problem("a block has more sequences than fit into the maximum block size (3.1.1.3.2.1)")
	}
	if len(src) <= header {
		return nil, errShort
	}
	modes := src[header]
	if modes&3 != 0 {
		return nil, problem("reserved bits of the sequences are set (3.1.1.3.2.1)")
	}
	at += header + 1
	for i, c := range []*coder{&p.lit, &p.offset, &p.match} {
		k, err := c.read(modes>>(6-2*i)&3, buf[at:], &p.counts)
		if err != nil {
			return nil, err
		}
		at += k
	}
	s := &p.seqs
	s.litLen, s.offset, s.mLen, s.dst = p.lit.now, p.offset.now, p.match.now, b.sequences(n)
	if err := s.decode(buf, at); err != nil {
		return nil, err
	}
	return s.dst, nil
}
