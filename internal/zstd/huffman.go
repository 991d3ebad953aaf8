package zstd

import (
	"encoding/binary"
	"math/bits"
)

const (
	huffBits    = 11 // maximum length of a literal's code (4.2.1)
	weightsLog  = 6
	errWeights  = problem("invalid weights of a Huffman table (4.2.1)")
	errLiterals = problem("the literals do not end at the end of their stream (4.2.2)")
)

// A huffman decodes literals. Its index is the next [huffBits] bits. An entry has the length of the
// code in its low byte, and the literal above it.
type huffman struct {
	entries [1 << huffBits]uint16
	ready   bool

	weights [maxSymbols]uint8
	counts  counts
	table   table
}

// noExtra is for tables whose symbols are their own values.
var (
	noExtra [maxSymbols]uint8
	itself  = func() (b [maxSymbols]uint32) {
		for i := range b {
			b[i] = uint32(i)
		}
		return b
	}()
)

// read reads the description of a table at buf[at:] (4.2.1), and returns its end.
func (h *huffman) read(buf []byte, at int) (int, error) {
	h.ready = false
	if at >= len(buf) {
		return 0, errWeights
	}
	n := int(buf[at])
	at++
	var symbols int
	if n >= 128 { // uncompressed, four bits each
		symbols = n - 127
		if n = (symbols + 1) / 2; n > len(buf)-at {
			return 0, errWeights
		}
		for i := range symbols {
			h.weights[i] = buf[at+i/2] >> (4 * (^i & 1)) & 15
		}
	} else {
		if n > len(buf)-at {
			return 0, errWeights
		}
		var err error
		if symbols, err = h.readFSE(buf[:at+n], at); err != nil {
			return 0, err
		}
	}
	return at + n, h.build(symbols)
}

// readFSE reads FSE-compressed weights with two alternating states (4.2.1.2).
func (h *huffman) readFSE(buf []byte, at int) (int, error) {
	n, err := h.counts.read(buf[at:], weightsLog, huffBits+2)
	if err != nil {
		return 0, err
	}
	if err := h.table.build(&h.counts, itself[:], noExtra[:]); err != nil {
		return 0, err
	}
	var b backward
	if err := b.init(buf, at+n); err != nil {
		return 0, err
	}
	var states [2]uint
	for i := range states {
		states[i] = b.get(h.table.log)
	}
	if b.left() < 0 {
		return 0, errWeights
	}
	for n := range maxSymbols - 2 { // one weight is omitted, and two can follow the last bit
		c := h.table.cells[states[n&1]]
		h.weights[n] = uint8(c.value())
		b.fill()
		if int(c.bits()) > b.left() {
			h.weights[n+1] = uint8(h.table.cells[states[^n&1]].value())
			return n + 2, nil
		}
		states[n&1] = c.next() + b.get(c.bits())
	}
	return 0, errWeights
}

// build builds the table from the weights of all symbols except the last one. The last weight makes the
// sum a power of two (4.2.1.1).
func (h *huffman) build(symbols int) error {
	var ranks [huffBits + 2]int
	sum := 0
	for _, w := range h.weights[:symbols] {
		if w > huffBits {
			return errWeights
		}
		ranks[w]++
		sum += 1 << w >> 1
	}
	log := bits.Len(uint(sum))
	if sum == 0 || log > huffBits {
		return errWeights
	}
	rest := 1<<log - sum
	if rest&(rest-1) != 0 {
		return errWeights
	}
	last := bits.Len(uint(rest))
	h.weights[symbols] = uint8(last)
	ranks[last]++
	if ranks[1] < 2 || ranks[1]&1 != 0 {
		return errWeights
	}
	// The longest codes come first. They have the length of the index.
	var starts [huffBits + 2]int
	for w, at := 1, 0; w <= log; w++ {
		starts[w] = at
		at += ranks[w] << (w - 1) << (huffBits - log)
	}
	for s, w := range h.weights[:symbols+1] {
		if w == 0 {
			continue
		}
		n := 1 << (w - 1) << (huffBits - log)
		to := h.entries[starts[w] : starts[w]+n]
		starts[w] += n
		e := uint16(s)<<8 | uint16(log+1-int(w))
		for i := range to {
			to[i] = e
		}
	}
	h.ready = true
	return nil
}

// A lane is one stream of literals. Its bits are at the top of v, followed by a 1.
type lane struct {
	v   uint64
	pos int // position of the 8 bytes that v was filled from
}

// lanes decode four streams at once. The assembly depends on its fields.
type lanes struct {
	lane [4]lane
	src  []byte // begins before bytes ahead of the first stream
	dst  []byte // output of all lanes, followed by slack
	out  int    // decoded literals of each lane
	segment,
	rounds int // a round decodes five literals of each lane
	h *huffman
}

// literalRound is the number of literals that a lane decodes between refills: five codes have at most
// 55 bits.
const literalRound = 5

// start begins the stream buf[from:].
func (l *lane) start(buf []byte, from int) error {
	var b backward
	if err := b.init(buf, from); err != nil {
		return err
	}
	l.pos, l.v = b.pos, (b.v|1)<<b.used
	return nil
}

// finish decodes the last literals of a lane, whose stream is src[from:].
func (h *huffman) finish(l *lane, src []byte, from int, dst []byte) error {
	b := backward{buf: src, start: from, pos: l.pos, used: uint(bits.TrailingZeros64(l.v))}
	b.v = binary.LittleEndian.Uint64(src[l.pos:])
	for len(dst) > 0 {
		n := min(literalRound, len(dst))
		b.fill()
		for i := range n {
			e := h.entries[b.v<<(b.used&63)>>(64-huffBits)]
			dst[i] = byte(e >> 8)
			b.used += uint(e & 63)
		}
		if b.left() < 0 {
			return errLiterals
		}
		dst = dst[n:]
	}
	if b.left() != 0 {
		return errLiterals
	}
	return nil
}

// decode decodes n literals from one stream or four (4.2.2) in buf[at:] to dst, which is followed by
// slack.
func (h *huffman) decode(dst []byte, n int, buf []byte, at int, four bool) error {
	if !four {
		var l lane
		if err := l.start(buf, at); err != nil {
			return err
		}
		return h.finish(&l, buf, at, dst[:n])
	}
	const jump = 6
	segment := (n + 3) / 4
	if n < 6 || len(buf)-at < jump {
		return errLiterals
	}
	l := lanes{src: buf, dst: dst, segment: segment, h: h}
	var from [5]int
	from[0], from[4] = at+jump, len(buf)
	for i := range 3 {
		from[i+1] = from[i] + int(binary.LittleEndian.Uint16(buf[at+2*i:]))
	}
	if from[3] > len(buf) || 3*segment > n {
		return errLiterals
	}
	for i := range l.lane {
		if err := l.lane[i].start(buf[:from[i+1]], from[i]); err != nil {
			return err
		}
	}
	if l.rounds = (n - 3*segment) / literalRound; l.rounds > 0 {
		l.run(from[0] - 8)
	}
	for i := range l.lane {
		end := min((i+1)*segment, n)
		if err := h.finish(&l.lane[i], buf[:from[i+1]], from[i], dst[i*segment+l.out:end]); err != nil {
			return err
		}
	}
	return nil
}

// runGeneric decodes until all rounds are done, or until a lane reaches bottom. Then its stream is near
// its end, or corrupt.
func (l *lanes) runGeneric(bottom int) {
	h, src := l.h, l.src
	a, b, c, d := l.lane[0], l.lane[1], l.lane[2], l.lane[3]
	for ; l.rounds > 0 && a.pos >= bottom && b.pos >= bottom && c.pos >= bottom && d.pos >= bottom; l.rounds-- {
		w0 := (*[literalRound]byte)(l.dst[l.out:])
		w1 := (*[literalRound]byte)(l.dst[l.out+l.segment:])
		w2 := (*[literalRound]byte)(l.dst[l.out+2*l.segment:])
		w3 := (*[literalRound]byte)(l.dst[l.out+3*l.segment:])
		for i := range literalRound {
			e := h.entries[a.v>>(64-huffBits)]
			a.v <<= e & 63
			w0[i] = byte(e >> 8)
			e = h.entries[b.v>>(64-huffBits)]
			b.v <<= e & 63
			w1[i] = byte(e >> 8)
			e = h.entries[c.v>>(64-huffBits)]
			c.v <<= e & 63
			w2[i] = byte(e >> 8)
			e = h.entries[d.v>>(64-huffBits)]
			d.v <<= e & 63
			w3[i] = byte(e >> 8)
		}
		a.fill(src)
		b.fill(src)
		c.fill(src)
		d.fill(src)
		l.out += literalRound
	}
	l.lane = [4]lane{a, b, c, d}
}

func (l *lane) fill(src []byte) {
	n := bits.TrailingZeros64(l.v)
	l.pos -= n >> 3
	l.v = (binary.LittleEndian.Uint64(src[l.pos:]) | 1) << (n & 7)
}
