package inflate

import "io"

const (
	window    = 32 << 10 // maximum distance (RFC 1951, section 2)
	readerIn  = 256 << 10
	readerOut = 256 << 10

	// leastIn is the minimum input before a block begins, unless the input is shorter. A stored block
	// is copied as a whole. The header of a compressed block is shorter: 14 bits, 19 lengths of 3 bits,
	// and 316 codes of 7 bits with 7 more bits each.
	leastIn = 64<<10 + 64

	// leastOut is the minimum space for output. It has to hold a stored block, or the output of the
	// last bits of input that fast leaves to slow: fastIn bytes and the bit buffer, with at least two
	// bits per match.
	leastOut = 64<<10 + fastOut
)

// A Reader decompresses deflate streams of any length, one after the other, with a window of its
// output. Between two streams it returns the bytes of the input unchanged. It is not safe for
// concurrent use.
type Reader struct {
	s      stream
	r      io.Reader
	in     []byte // buffer that contains s.in.src
	last   error  // error of r, after which there is no more input
	buf    []byte // the window, followed by new output
	part   []byte // output that was not read yet
	inside bool   // within a stream
	err    error  // error of the stream
}

// NewReader returns a Reader of r. It reads ahead.
func NewReader(r io.Reader) *Reader {
	d := &Reader{r: r, in: make([]byte, readerIn), buf: make([]byte, window+readerOut+leastOut)}
	d.s.start(d.buf, d.in[:0])
	return d
}

// ReadByte returns the next byte of the input between two streams. At the end of the input it returns
// [io.EOF].
func (r *Reader) ReadByte() (byte, error) {
	r.fill(1)
	in := &r.s.in
	if in.pos == len(in.src) {
		return 0, r.last
	}
	in.pos++
	return in.src[in.pos-1], nil
}

// Start begins a stream at the next byte of the input.
func (r *Reader) Start() {
	in := r.s.in
	r.s.start(r.buf, nil)
	r.s.in = in
	r.part, r.err = nil, nil
	r.inside = true
}

// Read implements [io.Reader]. It returns [io.EOF] at the end of a stream, until Start begins the next
// one. If the input ends first, the error is [ErrCorrupt].
func (r *Reader) Read(p []byte) (int, error) {
	part, err := r.Part()
	n := copy(p, part)
	r.part = part[n:]
	return n, err
}

// Part is like Read without a copy. The result is valid until the next call of a method.
func (r *Reader) Part() ([]byte, error) {
	for len(r.part) == 0 {
		if r.err == nil && !r.inside {
			r.err = io.EOF
		}
		if r.err != nil {
			return nil, r.err
		}
		r.part, r.err = r.next()
	}
	part := r.part
	r.part = nil
	return part, nil
}

// fill makes n bytes of input available, or as many as there are.
func (r *Reader) fill(n int) {
	in := &r.s.in
	if len(in.src)-in.pos >= n || r.last != nil {
		return
	}
	back := min(in.pos, 8) // end can return the bytes in the bit buffer
	have := copy(r.in, in.src[in.pos-back:])
	in.pos = back
	for empty := 0; have < len(r.in) && r.last == nil; {
		k, err := r.r.Read(r.in[have:])
		have += k
		if r.last = err; err == nil && have-back >= n {
			break
		}
		if k > 0 {
			empty = 0
		} else if empty++; empty > 100 {
			r.last = io.ErrNoProgress
		}
	}
	in.src = r.in[:have]
}

// next decodes more output. The result is valid until the next call.
func (r *Reader) next() ([]byte, error) {
	s := &r.s
	if len(s.dst)-s.out < leastOut {
		keep := min(s.out, window)
		copy(r.buf, r.buf[s.out-keep:s.out])
		s.out = keep
	}
	from := s.out
	for len(s.dst)-s.out >= leastOut && r.inside && s.err == nil {
		r.fill(leastIn)
		switch {
		case s.bad:
			s.err = ErrCorrupt
		case s.block && !s.stuck && s.room():
			s.fast()
		case s.block:
			// The block or the input ended.
			s.stuck = false
			s.slow()
		case s.final:
			r.end()
		default:
			s.header()
		}
	}
	if s.err != nil && r.last != nil && r.last != io.EOF {
		s.err = r.last // rather than the decoding error that it caused
	}
	return r.buf[from:s.out], s.err
}

// end returns the unused bytes in the bit buffer to the input.
func (r *Reader) end() {
	in := &r.s.in
	in.take(in.n & 7)
	in.pos -= int(in.n / 8)
	in.b, in.n = 0, 0
	r.inside = false
}
