package xz

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/luksimg/luksimg/internal/lzma"
)

// inputSize is the size of the reads of a file, in bytes.
const inputSize = 128 << 10

// A block is the state of decoding a block.
type block struct {
	blockHeader
	dec    *lzma.Decoder
	window []byte // reused
	in     *bufio.Reader
	at     int64 // offset in the file
	digest digest
	stages []stage // in order of decoding
	got    int64
	data   int64 // bytes of compressed data; set by end
}

// A stage is a filter with its pending data.
type stage struct {
	filter
	buf  []byte
	done int // bytes of buf that are done
}

// start reads the header of a block at byte at of the file, whose first byte, not 0, was read. unpadded
// and size come from the index, or are -1 if unknown. If dst is not nil, its length is the size of the
// output, and the block is decoded into it. Otherwise it is decoded through a window.
func (b *block) start(in *bufio.Reader, first byte, at int64, c check, unpadded, size int64, dst []byte, o Options) error {
	h, err := readBlockHeader(in, first, at)
	if err != nil {
		return err
	}
	if unpadded >= 0 {
		packed := unpadded - h.size - c.size()
		if packed <= 0 || h.packed >= 0 && h.packed != packed || h.unpacked >= 0 && h.unpacked != size {
			return corrupt("sizes in the header of the block at byte %d differ from those in the index", at)
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

// fill decodes all of a block that start began with dst.
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

// take processes the results of the decoder, and returns the output of the filters. The error is io.EOF
// with the last output, which is empty without filters.
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

// took counts the output of the decoder and checks the sizes.
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
	return corrupt("the block at byte %d has other sizes than its header or the index", b.at)
}

// end reads the padding and the check after the compressed data (sections 3.3 and 3.4).
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

// unpaddedSize returns the unpadded size for the index, after end (section 4.3).
func (b *block) unpaddedSize() int64 { return b.size + b.data + b.digest.size() }

// decode decodes p after the pending bytes, and returns the bytes that are done.
func (s *stage) decode(p []byte, end bool) []byte {
	n := copy(s.buf, s.buf[s.done:])
	s.buf = append(s.buf[:n], p...)
	s.done = s.filter.decode(s.buf, end)
	return s.buf[:s.done]
}
