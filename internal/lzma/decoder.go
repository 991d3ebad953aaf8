package lzma

import (
	"errors"
	"io"
)

// A Source supplies compressed data. It should be buffered. A Decoder reads no byte behind the end of
// its data.
type Source interface {
	io.Reader
	io.ByteReader
}

// A Decoder decodes the LZMA2 data of one stream after another. It is large and meant for reuse. It is
// not safe for concurrent use.
type Decoder struct {
	lane
	src       Source
	slides    bool // the window is a sliding buffer
	needReset bool // the next chunk must reset the dictionary
	needProps bool
	inside    bool // within a chunk
	from      int  // start of the chunk in win
	packed    int64
	err       error
}

// WindowSize returns the minimum length of the window of [Decoder.Slide] for a dictionary of dict bytes
// and an output of size bytes; size is -1 if unknown.
func WindowSize(dict uint32, size int64) int64 {
	n := int64(dict)
	if size < 0 || size > n+MaxChunk {
		// The dictionary moves whenever the rest is full. The cost is small compared with decoding that
		// much.
		return n + max(MaxChunk, n/4) + slack
	}
	return size + slack
}

// Fill prepares d to decode LZMA2 data of src into dst, which must hold all of the output. Bytes of dst
// behind the output may be overwritten.
func (d *Decoder) Fill(src Source, dict uint32, dst []byte) { d.start(src, dict, dst, false) }

// Slide prepares d to decode LZMA2 data of src through window, whose length is at least [WindowSize].
func (d *Decoder) Slide(src Source, dict uint32, window []byte) { d.start(src, dict, window, true) }

// Stop makes d forget its source. A [Pair] then treats it as idle.
func (d *Decoder) Stop() { d.src, d.win, d.inside = nil, nil, false }

func (d *Decoder) start(src Source, dict uint32, win []byte, slides bool) {
	d.src, d.slides, d.packed, d.err = src, slides, 0, nil
	d.win, d.dict, d.out, d.low, d.base, d.stop, d.from = win, int(min(int64(dict), int64(maxInt))), 0, 0, 0, 0, 0
	d.needReset, d.needProps, d.inside, d.bad = true, true, false, false
}

const maxInt = int(^uint(0) >> 1)

// Packed returns the number of bytes read from the source.
func (d *Decoder) Packed() int64 { return d.packed }

// Next decodes the next chunk and returns its output, a part of the window that is valid until the next
// call. At the end of the data the error is io.EOF. Errors of the source are returned unchanged, except
// that an early end is io.ErrUnexpectedEOF. Later calls return the same error.
func (d *Decoder) Next() ([]byte, error) {
	for d.begun(); d.pending(); {
		d.decode()
	}
	return d.chunk()
}

// begun begins the next chunk if the current one is done.
func (d *Decoder) begun() {
	if !d.inside && d.err == nil {
		d.err = d.header()
		d.inside = true
	}
}

// pending reports whether the chunk has more to decode.
func (d *Decoder) pending() bool {
	return d.err == nil && d.out < d.stop && d.in <= d.inEnd && !d.bad
}

// chunk finishes and returns the decoded chunk.
func (d *Decoder) chunk() ([]byte, error) {
	d.inside = false
	if d.err == nil {
		d.err = d.finish()
	}
	if d.err != nil {
		return nil, d.err
	}
	return d.win[d.from:d.out:d.out], nil
}

// finish checks the end of a chunk.
func (d *Decoder) finish() error {
	// The end consumes its last byte only if the last symbol needs it.
	if d.rng < topValue && d.in < len(d.packedIn) {
		d.code = d.code<<8 | uint32(d.packedIn[d.in])
		d.in++
	}
	switch {
	case d.bad || d.out > d.stop:
		return corrupt("invalid distance or length in the chunk that ends at byte %d", d.packed)
	case d.in > d.inEnd:
		return corrupt("chunk that ends at byte %d is longer than its header says", d.packed)
	case d.in < d.inEnd || d.code != 0:
		return corrupt("chunk that ends at byte %d has an invalid end", d.packed)
	}
	return nil
}

// header reads the header and the compressed data of a chunk. It copies an uncompressed chunk to the
// window. At the end of the data the error is io.EOF.
func (d *Decoder) header() error {
	var h [6]byte
	var err error
	if h[0], err = d.src.ReadByte(); err != nil {
		return early(err)
	}
	d.packed++
	control := h[0]
	if control == 0 {
		return io.EOF
	}
	reset := control >= 0xe0 || control == 1
	if reset {
		d.needProps = true
	} else if d.needReset {
		return corrupt("first chunk, of kind %#02x, does not reset the dictionary", control)
	}
	n := 3
	switch {
	case control >= 0xc0:
		n = 6
	case control >= 0x80:
		n = 5
		if d.needProps {
			return corrupt("chunk of kind %#02x without properties", control)
		}
	case control > 2:
		return corrupt("chunk of unknown kind %#02x", control)
	}
	if err := d.read(h[1:n]); err != nil {
		return err
	}
	size := int(h[1])<<8 + int(h[2]) + 1
	if control >= 0x80 {
		size += int(control&0x1f) << 16
	}
	if err := d.room(size); err != nil {
		return err
	}
	if reset {
		d.needReset = false
		d.low, d.base = d.out, d.out
	}
	d.from, d.stop = d.out, d.out+size
	if control < 0x80 {
		// Continue as if it had been decoded.
		d.out = d.stop
		d.in, d.inEnd, d.rng, d.code = 0, 0, 1<<32-1, 0
		return d.read(d.win[d.from:d.stop])
	}
	packed := int(h[3])<<8 + int(h[4]) + 1
	if control >= 0xc0 {
		if err := d.setProps(h[5]); err != nil {
			return err
		}
		d.needProps = false
	}
	if control >= 0xa0 {
		d.reset()
	}
	// Byte 0 is unused, and the range decoder starts with 4 bytes (lzma-specification, "Range
	// decoder").
	if packed < 5 {
		return corrupt("compressed chunk of %d bytes, fewer than 5", packed)
	}
	if err := d.read(d.packedIn[:packed]); err != nil {
		return err
	}
	return d.begin(packed)
}

// read fills p from the source.
func (d *Decoder) read(p []byte) error {
	n, err := io.ReadFull(d.src, p)
	d.packed += int64(n)
	return early(err)
}

// early turns io.EOF into io.ErrUnexpectedEOF.
func early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// room makes space for size more bytes in the window.
func (d *Decoder) room(size int) error {
	if !d.slides {
		if size > len(d.win)-d.out {
			return corrupt("more than %d bytes of output", len(d.win))
		}
		return nil
	}
	if len(d.win)-d.out >= size+slack {
		return nil
	}
	// Positions keep their low bits, so base changes only by a multiple of them. Nothing before the
	// start of the dictionary is used again.
	keep := min(d.out-d.low, d.dict)
	move := (d.out - keep) &^ (maxPos - 1)
	if len(d.win)-d.out+move < size+slack {
		// The window was made for less output.
		return corrupt("output exceeds the expected size, in a window of %d bytes", len(d.win))
	}
	copy(d.win, d.win[move:d.out])
	d.out -= move
	d.low = max(d.low-move, 0)
	d.base &= maxPos - 1
	return nil
}
