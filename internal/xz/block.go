package xz

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/luksimg/luksimg/internal/lzma"
)

// inputSize is how much of a file is read at once.
const inputSize = 128 << 10

// A block is one that is being decoded.
type block struct {
	blockHeader
	dec    *lzma.Decoder
	window []byte // is used again
	in     *bufio.Reader
	at     int64 // in the file
	digest digest
	stages []stage // in the order of decoding
	got    int64
	data   int64 // bytes of compressed data, after the end
}

// A stage is a filter with what it has not done yet.
type stage struct {
	filter
	buf  []byte
	done int // of buf
}

// start reads the header of a block that begins at byte at of the file; its first byte, which
// is not 0, was read. Sizes that are known from the index are given, else they are -1. With
// dst, which is so long as the output then, it is decoded into that; else through a window.
func (b *block) start(in *bufio.Reader, first byte, at int64, c check, unpadded, size int64, dst []byte, o Options) error {
	h, err := readBlockHeader(in, first, at)
	if err != nil {
		return err
	}
	if unpadded >= 0 {
		packed := unpadded - h.size - c.size()
		if packed <= 0 || h.packed >= 0 && h.packed != packed || h.unpacked >= 0 && h.unpacked != size {
			return corrupt("sizes in the header of the block at byte %d are not those in the index", at)
		}
		h.packed, h.unpacked = packed, size
	}
	b.blockHeader, b.in, b.at, b.got, b.stages = h, in, at, 0, b.stages[:0]
	b.digest.reset(c)
	if dst != nil {
		b.dec.Fill(in, h.dict, dst)
		return nil
	}
	for i := len(h.filters) - 1; i >= 0; i-- {
		f, err := newFilter(h.filters[i])
		if err != nil {
			return err
		}
		b.stages = append(b.stages, stage{filter: f})
	}
	need := int64(h.dict)
	if h.unpacked >= 0 {
		need = min(need, h.unpacked)
	}
	if need > o.maxDict() {
		return dictLimit(at, need, o)
	}
	n := lzma.WindowSize(h.dict, h.unpacked)
	if int64(int(n)) != n {
		return dictLimit(at, need, o)
	}
	if int64(cap(b.window)) < n {
		b.window = nil // before there is another one
		b.window = make([]byte, n)
	}
	b.dec.Slide(in, h.dict, b.window[:n])
	return nil
}

// fill decodes all of a block that was started with dst.
func (b *block) fill(dst []byte) error {
	for {
		_, err := b.took(b.dec.Next())
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	for i := len(b.filters) - 1; i >= 0; i-- {
		f, err := newFilter(b.filters[i])
		if err != nil {
			return err
		}
		f.decode(dst, true)
	}
	if b.got != int64(len(dst)) {
		return b.lengthError()
	}
	b.digest.write(dst)
	return b.end()
}

// take does what is left to do with what the decoder gave, and returns the output that comes
// of it. The error is io.EOF if that is the last one; there is output with it only from filters.
func (b *block) take(chunk []byte, err error) ([]byte, error) {
	chunk, err = b.took(chunk, err)
	if err != nil && err != io.EOF {
		return nil, err
	}
	for i := range b.stages {
		chunk = b.stages[i].decode(chunk, err == io.EOF)
	}
	b.digest.write(chunk)
	if err == io.EOF {
		if err := b.end(); err != nil {
			return nil, err
		}
	}
	return chunk, err
}

// took counts what the decoder gave, and checks the sizes.
func (b *block) took(chunk []byte, err error) ([]byte, error) {
	if errors.Is(err, lzma.ErrCorrupt) {
		err = corrupt("%v", err)
	}
	b.got += int64(len(chunk))
	b.data = b.dec.Packed()
	switch {
	case err == io.ErrUnexpectedEOF:
		return nil, early(err, "a block", b.at)
	case err != nil && err != io.EOF:
		return nil, atBlock(err, b.at)
	case b.unpacked >= 0 && (b.got > b.unpacked || err == io.EOF && b.got != b.unpacked),
		b.packed >= 0 && (b.data > b.packed || err == io.EOF && b.data != b.packed):
		return nil, b.lengthError()
	}
	return chunk, err
}

func (b *block) lengthError() error {
	return corrupt("the block at byte %d has other sizes than its header or the index tells", b.at)
}

// end reads what follows the compressed data: padding and the check (sections 3.3 and 3.4).
func (b *block) end() error {
	var room, sum [40]byte
	n := pad(b.data)
	tail := room[:n+b.digest.size()]
	if _, err := io.ReadFull(b.in, tail); err != nil {
		return early(err, "a block", b.at)
	}
	if !zero(tail[:n]) {
		return corrupt("padding of the block at byte %d is not zero", b.at)
	}
	if !bytes.Equal(tail[n:], b.digest.sum(sum[:0])) {
		return corrupt("%s of the block at byte %d is wrong", b.digest, b.at)
	}
	return nil
}

// unpaddedSize is what the index has of it, after the end (section 4.3).
func (b *block) unpaddedSize() int64 { return b.size + b.data + b.digest.size() }

// decode takes p and returns what is done of all that it was given.
func (s *stage) decode(p []byte, end bool) []byte {
	n := copy(s.buf, s.buf[s.done:])
	s.buf = append(s.buf[:n], p...)
	s.done = s.filter.decode(s.buf, end)
	return s.buf[:s.done]
}
