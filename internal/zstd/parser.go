package zstd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// batch fills b. If parsing stops, it sets b.err, which applies after the last action. b.err is io.EOF if
// the input ends between two frames.
func (p *parser) batch(b *batch) {
	b.reset()
	for b.err == nil && !b.full() {
		off := p.in.off
		var err error
		if p.inside {
			err = p.block(b)
		} else {
			err = p.start(b)
		}
		b.err = located(err, off)
	}
}

// take returns the next n bytes, which the frame must have.
func (p *parser) take(n int) ([]byte, error) {
	b, err := p.in.peek(n)
	if len(b) < n {
		return nil, p.early(err)
	}
	p.in.skip(n)
	return b, nil
}

// early returns the error for a frame that ends too early.
func (p *parser) early(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// start parses the input between two frames.
func (p *parser) start(b *batch) error {
	off := p.in.off
	head, err := p.in.peek(MaxHeader)
	if err != nil && err != io.EOF || len(head) == 0 {
		return err
	}
	if len(head) < 4 {
		return io.ErrUnexpectedEOF
	}
	switch magic := binary.LittleEndian.Uint32(head); {
	case IsSkippable(magic):
		if len(head) < 8 {
			return io.ErrUnexpectedEOF
		}
		return p.early(p.in.discard(8 + int64(binary.LittleEndian.Uint32(head[4:]))))
	case magic != Magic:
		return problem("no magic number of a frame (3.1)")
	}
	h, err := ReadHeader(head)
	var bad *CorruptError
	switch {
	case errors.As(err, &bad) && len(head) < MaxHeader:
		return io.ErrUnexpectedEOF
	case bad != nil:
		return &CorruptError{off + bad.Offset, bad.Problem}
	case h.Dictionary != 0:
		return ErrDictionary
	case h.Window > p.window:
		return fmt.Errorf("%w: %d bytes, more than the limit of %d", ErrWindow, h.Window, p.window)
	}
	p.in.skip(int(h.Len))
	p.frame, p.inside, p.huff.ready = h, true, false
	p.lit.now, p.offset.now, p.match.now = nil, nil, nil
	b.actions = append(b.actions, action{kind: begin, off: off, header: h})
	return nil
}

// block parses a block (3.1.1.2), and after the last one the end of the frame.
func (p *parser) block(b *batch) error {
	a := action{off: p.in.off}
	head, err := p.take(BlockHeader)
	if err != nil {
		return err
	}
	v := uint32(head[0]) | uint32(head[1])<<8 | uint32(head[2])<<16
	n := int(v >> 3)
	if n > p.frame.block() {
		return errLong
	}
	switch v >> 1 & 3 {
	case 0:
		src, err := p.take(n)
		if err != nil {
			return err
		}
		a.kind, a.size, a.lits = stored, n, b.literals(n, p.alloc)
		copy(a.lits, src)
	case 1:
		src, err := p.take(1)
		if err != nil {
			return err
		}
		a.kind, a.size, a.lits = repeated, n, b.literals(1, p.alloc)
		a.lits[0] = src[0]
	case 2:
		if n < 2 {
			return errShort
		}
		if _, err := p.take(n); err != nil {
			return err
		}
		a.kind = composed
		if err := p.compressed(b, &a, p.in.buf[:p.in.pos], p.in.pos-n); err != nil {
			return err
		}
	default:
		return problem("a block has the reserved type (3.1.1.2.2)")
	}
	b.actions = append(b.actions, a)
	b.size += a.size
	if v&1 == 0 {
		return nil
	}
	a = action{kind: end, off: p.in.off}
	if p.frame.Checksum {
		sum, err := p.take(sumLen)
		if err != nil {
			return err
		}
		a.sum = binary.LittleEndian.Uint32(sum)
	}
	p.inside = false
	b.actions = append(b.actions, a)
	return nil
}
