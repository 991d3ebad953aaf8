package zstd

import (
	"io"
)

const inputSize = 512 << 10

// An input reads ahead of the parser. The bytes that it returns are contiguous. Before and after them
// are bytes that may be read but have no meaning.
type input struct {
	r    io.Reader
	buf  []byte // before bytes, then the data, then before bytes
	pos  int    // position of the first unused byte
	end  int
	off  int64 // offset of pos in the input
	last error // error of r
}

func (in *input) init(r io.Reader, alloc func(n int) []byte) {
	if in.buf == nil {
		in.buf = alloc(before + inputSize + before)
	}
	in.r, in.pos, in.end, in.off, in.last = r, before, before, 0, nil
}

// peek returns the next n bytes, where n is at most [MaxBlock]. If the input ends first, it returns
// fewer, and the error of the reader.
func (in *input) peek(n int) ([]byte, error) {
	for empty := 0; in.end-in.pos < n && in.last == nil; {
		if in.pos > before && in.pos+n > len(in.buf)-before {
			copy(in.buf[before:], in.buf[in.pos:in.end])
			in.pos, in.end = before, before+in.end-in.pos
		}
		k, err := in.r.Read(in.buf[in.end : len(in.buf)-before])
		in.end += k
		in.last = err
		if empty++; k > 0 {
			empty = 0
		} else if empty > 100 && err == nil {
			in.last = io.ErrNoProgress
		}
	}
	if in.end-in.pos < n {
		return in.buf[in.pos:in.end], in.last
	}
	return in.buf[in.pos : in.pos+n], nil
}

// skip skips n bytes that peek has returned.
func (in *input) skip(n int) {
	in.pos += n
	in.off += int64(n)
}

// discard skips n bytes. If the input ends first, it returns the error of the reader.
func (in *input) discard(n int64) error {
	for n > 0 {
		b, err := in.peek(int(min(n, MaxBlock)))
		in.skip(len(b))
		if n -= int64(len(b)); err != nil {
			return err
		}
	}
	return nil
}
