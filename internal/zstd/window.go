package zstd

import "encoding/binary"

// A window executes actions. It keeps their output for later matches.
type window struct {
	alloc func(n int) []byte
	buf   []byte // ends with slack
	read  int    // buf[read:write] is the output that was not read yet
	write int
	first int // the first byte that a match can refer to

	frame  Header
	given  int64     // output of the frame so far, in bytes
	recent [3]uint32 // recent offsets (3.1.1.5)
	sum    xxh64
}

// spare is the size of the buffer beyond the window of the frame. It determines how often the window is
// moved.
func spare(window int64) int64 { return min(max(4*window, 1<<20), 24<<20) }

// A buffer grows to the size that a frame requires only as the output does. These are its first two
// sizes.
const (
	firstBuffer  = 1 << 20
	secondBuffer = 8 << 20
)

// do executes an action. All previous output must have been read.
func (w *window) do(a *action) error {
	switch a.kind {
	case begin:
		w.read, w.write, w.first = 0, 0, 0
		w.frame, w.given, w.recent = a.header, 0, [3]uint32{1, 4, 8}
		w.sum.reset()
		return nil
	case end:
		if w.frame.Size >= 0 && w.given != w.frame.Size {
			return problem("the content is shorter than the size in the frame header (3.1.1.1.4)")
		}
		if w.frame.Checksum && uint32(w.sum.digest()) != a.sum {
			return problem("the checksum of a frame is wrong (3.1.1)")
		}
		return nil
	}
	if w.given += int64(a.size); w.frame.Size >= 0 && w.given > w.frame.Size {
		return problem("the content is longer than the size in the frame header (3.1.1.1.4)")
	}
	w.room(a.size)
	dst := w.buf[w.write : w.write+a.size]
	switch a.kind {
	case stored:
		copy(dst, a.lits)
	case repeated:
		fill(dst, a.lits[0])
	default:
		if err := w.compose(a); err != nil {
			return err
		}
	}
	w.write += a.size
	if w.frame.Checksum {
		w.sum.write(dst)
	}
	return nil
}

// room makes space for n bytes and slack after write.
func (w *window) room(n int) {
	if w.write+n+slack <= len(w.buf) {
		return
	}
	keep := int(min(w.frame.Window, int64(w.write-w.first)))
	most := w.frame.Window + spare(w.frame.Window)
	if w.frame.Size >= 0 {
		most = min(most, w.frame.Size)
	}
	from := w.buf[w.write-keep : w.write]
	if most = max(most, int64(keep+n)) + slack; int64(len(w.buf)) < most {
		size := most
		for _, less := range []int64{secondBuffer, firstBuffer} {
			if less > int64(len(w.buf)) && less > int64(keep+n+slack) {
				size = min(size, less)
			}
		}
		w.buf = w.alloc(int(size))
	}
	copy(w.buf, from)
	w.read, w.write, w.first = keep, keep, 0
}

// A composition is the state of compose. The assembly depends on its fields.
type composition struct {
	seqs   []sequence
	lits   []byte // followed by slack
	buf    []byte // the output is followed by slack
	at     int    // next position in buf
	lit    int    // next literal in lits
	first  int    // the first byte of buf that a match can refer to
	window uint   // maximum offset
	recent [3]uint32
	n      int // number of executed sequences
}

var errOffset = problem("a match begins before the window (3.1.1.3.2.1.1)")

// compose executes the sequences of a block (3.1.1.4). Their lengths were checked, so only offsets can
// be invalid.
func (w *window) compose(a *action) error {
	lits := a.lits[:len(a.lits)-slack]
	c := composition{seqs: a.seqs, lits: a.lits, buf: w.buf, at: w.write, first: w.first, window: uint(w.frame.Window), recent: w.recent}
	c.run()
	if c.n < len(c.seqs) {
		return errOffset
	}
	w.recent = c.recent
	copy(w.buf[c.at:w.write+a.size], lits[c.lit:])
	return nil
}

// offset returns the offset that v encodes (3.1.1.5).
func (c *composition) offset(v, literals uint32) uint32 {
	if v > 3 {
		c.recent = [3]uint32{v - 3, c.recent[0], c.recent[1]}
		return v - 3
	}
	if literals == 0 {
		v++
	}
	switch r := c.recent; v {
	case 2:
		c.recent = [3]uint32{r[1], r[0], r[2]}
	case 3:
		c.recent = [3]uint32{r[2], r[0], r[1]}
	case 4:
		c.recent = [3]uint32{r[0] - 1, r[0], r[1]}
	}
	return c.recent[0]
}

// step is the number of bytes copied at once.
const step = 16

// runGeneric executes sequences until one has an invalid offset.
func (c *composition) runGeneric() {
	at, lit, buf, lits := c.at, c.lit, c.buf, c.lits
	for i := range c.seqs {
		s := &c.seqs[i]
		n := int(s.literals)
		*(*[step]byte)(buf[at:]) = *(*[step]byte)(lits[lit:])
		if n > step {
			copy(buf[at+step:at+n], lits[lit+step:])
		}
		at, lit = at+n, lit+n
		dist := c.offset(s.offset, s.literals)
		if uint(dist)-1 >= c.window || int64(dist) > int64(at-c.first) {
			return
		}
		from, n := at-int(dist), int(s.match)
		if dist < step {
			repeat(buf, at, int(dist), n)
		} else {
			*(*[step]byte)(buf[at:]) = *(*[step]byte)(buf[from:])
			for k := step; k < n; k += step {
				*(*[step]byte)(buf[at+k:]) = *(*[step]byte)(buf[from+k:])
			}
		}
		at += n
		c.at, c.lit = at, lit
		c.n++
	}
}

// repeat copies a match of n bytes at a distance below step. It can write up to 8 bytes more.
func repeat(buf []byte, at, dist, n int) {
	if dist < 8 {
		// Copy the first 8 bytes, then continue with a multiple of the distance that is at least 8.
		for i := range min(8, n) {
			buf[at+i] = buf[at+i-dist]
		}
		dist *= (7 + dist) / dist
		if n <= 8 {
			return
		}
		at, n = at+8, n-8
	}
	for k := 0; k < n; k += 8 {
		binary.LittleEndian.PutUint64(buf[at+k:], binary.LittleEndian.Uint64(buf[at+k-dist:]))
	}
}
