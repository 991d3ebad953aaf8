package zstd

import "encoding/binary"

// MaxHeader is the maximum length of a frame header in bytes, including the magic number.
const MaxHeader = 4 + 14

// A Header holds the fields of a frame header (3.1.1.1).
type Header struct {
	Len        int64  // length of the header in bytes, including the magic number
	Size       int64  // size of the content in bytes, or -1 if not given
	Window     int64  // maximum distance of a match in bytes
	Dictionary uint32 // ID of the dictionary, or zero
	Checksum   bool   // a checksum follows the last block
}

// maxSize is the maximum size of a frame. Larger values are reduced to it, because no input is that
// long.
const maxSize = 1 << 62

// ReadHeader parses a frame header at the start of b, which has [MaxHeader] bytes unless the input is
// shorter. The caller has checked the magic number. An error matches [ErrCorrupt]; its offset is
// relative to b.
func ReadHeader(b []byte) (Header, error) {
	le := binary.LittleEndian
	cut := &CorruptError{0, "the frame header is truncated"}
	if len(b) < 5 {
		return Header{}, cut
	}
	d := b[4]
	single := d&0x20 != 0
	h := Header{Len: 5, Size: -1, Checksum: d&4 != 0}
	idLen := []int64{0, 1, 2, 4}[d&3]
	sizeLen := []int64{0, 2, 4, 8}[d>>6]
	if single && sizeLen == 0 {
		sizeLen = 1
	}
	if !single {
		h.Len++
	}
	if d&8 != 0 {
		return h, &CorruptError{4, "the reserved bit of the frame header is set"}
	}
	at := h.Len + idLen
	h.Len = at + sizeLen
	if int64(len(b)) < h.Len {
		return h, cut
	}
	for i := range idLen {
		h.Dictionary |= uint32(b[at-idLen+i]) << (8 * i)
	}
	if !single {
		exp, mantissa := uint(b[5]>>3), int64(b[5]&7)
		h.Window = 1<<(10+exp) + mantissa<<(10+exp)/8
	}
	switch sizeLen {
	case 1:
		h.Size = int64(b[at])
	case 2:
		h.Size = int64(le.Uint16(b[at:])) + 256
	case 4:
		h.Size = int64(le.Uint32(b[at:]))
	case 8:
		h.Size = int64(min(le.Uint64(b[at:]), maxSize))
	}
	if single {
		h.Window = h.Size
	}
	return h, nil
}

// block returns the maximum length of a block of the frame, compressed and decompressed (3.1.1.2.4).
func (h Header) block() int { return int(min(h.Window, MaxBlock)) }
