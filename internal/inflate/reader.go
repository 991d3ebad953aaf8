package inflate

import "io"

const (
	window    = 32 << 10 // RFC 1951, section 2: no distance is longer
	readerIn  = 256 << 10
	readerOut = 256 << 10

	// leastIn is how much input there is before a block begins, if there is so much: a block that is not
	// compressed is copied as one. The header of another one takes less: 14 bits, 19 lengths of 3 bits,
	// and 316 codes of 7 bits with 7 more bits each.
	leastIn = 64<<10 + 64

	// leastOut is how much room there is for output: a block that is not compressed goes there, or what
	// the last bits of input give, which fast leaves to slow: fastIn bytes and the bit buffer, with two
	// bits or more for a match.
	leastOut = 64<<10 + fastOut
)

// A Reader decompresses deflate streams of any length, one after the other, and keeps a window of what
// it gives. Between two streams it gives the bytes of the input as they are. It is for one goroutine at
// a time.
type Reader struct {
	s      stream
	r      io.Reader
	in     []byte // what s.in.src is a part of
	last   error  // of r; there is no more input
	buf    []byte // a window, and what is decoded behind it
	part   []byte // was not read yet
	inside bool   // a stream
	err    error  // of the stream
}

// NewReader returns a Reader of r, which it reads ahead of what it gives.
func NewReader(r io.Reader) *Reader {
	d := &Reader{r: r, in: make([]byte, readerIn), buf: make([]byte, window+readerOut+leastOut)}
	d.s.start(d.buf, d.in[:0])
	return d
}

// ReadByte returns the next byte of the input, between two streams. At the end of the input it is
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

// Start begins with a stream, at the next byte of the input.
func (r *Reader) Start() {
	in := r.s.in
	r.s.start(r.buf, nil)
	r.s.in = in
	r.part, r.err = nil, nil
	r.inside = true
}

// Read implements [io.Reader]. Behind the end of a stream it is [io.EOF], until the next one is started.
// An input that ends before that is [ErrCorrupt].
func (r *Reader) Read(p []byte) (int, error) {
	part, err := r.Part()
	n := copy(p, part)
	r.part = part[n:]
	return n, err
}

// Part is Read without a copy: what it returns is good until the next call of a method.
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

// fill makes n bytes of input available, if there are so many.
func (r *Reader) fill(n int) {
	in := &r.s.in
	if len(in.src)-in.pos >= n || r.last != nil {
		return
	}
	back := min(in.pos, 8) // what is in the bit buffer may be given back
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

// next decodes more. What it returns is good until it is called again.
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
			// The end of the block, or that of the input.
			s.stuck = false
			s.slow()
		case s.final:
			r.end()
		default:
			s.header()
		}
	}
	if s.err != nil && r.last != nil && r.last != io.EOF {
		s.err = r.last // and not what followed of that
	}
	return r.buf[from:s.out], s.err
}

// end gives back the bytes of the input that were not used.
func (r *Reader) end() {
	in := &r.s.in
	in.take(in.n & 7)
	in.pos -= int(in.n / 8)
	in.b, in.n = 0, 0
	r.inside = false
}
