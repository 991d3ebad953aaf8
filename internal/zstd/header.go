package zstd

import "encoding/binary"

// MaxHeader is the length of the longest frame header in bytes, with the magic number.
const MaxHeader = 4 + 14

// A Header is what the header of a frame says (3.1.1.1).
type Header struct {
	Len        int64  // of the header with the magic number, in bytes
	Size       int64  // of what is in the frame, in bytes; -1 if it does not say so
	Window     int64  // how far back a match may be, in bytes
	Dictionary uint32 // number of the dictionary, zero for none
	Checksum   bool   // a checksum follows the last block
}

// maxSize is the longest frame: what is longer is taken for that, as no input is.
const maxSize = 1 << 62

// ReadHeader reads the header of a frame from the first bytes of it, of which there are [MaxHeader] unless the
// input ends before. The magic number was looked at. An error matches [ErrCorrupt]; its offset is that in b.
func ReadHeader(b []byte) (Header, error) {
	le := binary.LittleEndian
	cut := &CorruptError{0, "the header of a frame is cut off"}
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

// block returns the length that a block of the frame has at most, packed and unpacked (3.1.1.2.4).
func (h Header) block() int { return int(min(h.Window, MaxBlock)) }
