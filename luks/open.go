package luks

import (
	"bytes"
	"cmp"
	"crypto/fips140"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// maxKeySize bounds the length of a key in bytes. The longest that dm-crypt has are
// 128 bytes; cryptsetup itself stops at 512.
const maxKeySize = 512

// Detect tells whether the size bytes of r start with the magic of a LUKS header, or
// hold a secondary LUKS2 header, by its magic and the offset that it names. It reads little, and says nothing of
// whether the header is good.
func Detect(r io.ReaderAt, size int64) bool {
	if isCopy(r, size, 0, magic) {
		return true
	}
	for _, n := range v2HeaderSizes {
		if isCopy(r, size, n, v2SecondMagic) {
			return true
		}
	}
	return false
}

// isCopy tells whether a binary header with this magic is at off. A secondary header must
// say so itself: one that names another offset was made for another image, or is a piece of
// a file.
func isCopy(r io.ReaderAt, size, off int64, magic [6]byte) bool {
	b := make([]byte, v2HdrOffsetAt+8)
	if off == 0 {
		b = b[:8]
	}
	if size < off+int64(len(b)) {
		return false
	}
	if err := readFull(r, b, off); err != nil {
		return false
	}
	return bytes.HasPrefix(b, magic[:]) && (off == 0 || binary.BigEndian.Uint64(b[v2HdrOffsetAt:]) == uint64(off))
}

// Open reads and checks the header of the LUKS image in r, which has size bytes. If
// the primary header of a LUKS2 image is damaged, the secondary one is used; see
// [Info.Warnings]. The header is read once: what was checked is what is used. The
// key material is read when a key slot is tried, so r must stay open.
//
// A part of a header that is not known here, or can not be used, hides nothing else: it is
// in [Info.Warnings], and the error of what needs it. [Header.Unlock] opens what does not.
//
// Errors: [ErrNotLUKS], [ErrFormat] with a [FormatError], [ErrUnsupported], what [OpenOptions.Accept]
// or r returned.
func Open(r io.ReaderAt, size int64, o OpenOptions) (*Header, error) {
	h, err := open(r, size, o)
	if err == nil && fips140.Enabled() {
		h.noteUnapproved()
	}
	if err == nil && o.Accept != nil {
		err = o.Accept(h)
	}
	if err != nil {
		return nil, err
	}
	return h, nil
}

// open reads and checks the header, whatever [OpenOptions.Accept] says of it.
func open(r io.ReaderAt, size int64, o OpenOptions) (*Header, error) {
	var b [8]byte
	if size < int64(len(b)) {
		return nil, fmt.Errorf("%w: %d bytes are too short", ErrNotLUKS, size)
	}
	if err := readFull(r, b[:], 0); err != nil {
		return nil, fmt.Errorf("luks: reading the header: %w", err)
	}
	if bytes.Equal(b[:6], magic[:]) && binary.BigEndian.Uint16(b[6:]) == 1 {
		h, err := openV1(r, size, o)
		if err == nil {
			h.noteTruncated()
		}
		return h, err
	}
	h, err := openV2(r, size)
	if err != nil {
		if v := binary.BigEndian.Uint16(b[6:]); bytes.Equal(b[:6], magic[:]) && v != 2 && errors.Is(err, ErrNotLUKS) {
			return nil, unsupported("LUKS version %d", v)
		}
		return nil, err
	}
	h.r, h.size, h.opts = r, size, o
	h.noteTruncated()
	return h, nil
}

// noteTruncated warns of an image that ends within a sector.
func (h *Header) noteTruncated() {
	s := h.segment
	if s.offset == 0 || s.size != 0 || h.size < s.offset {
		return
	}
	if part := (h.size - s.offset) % int64(s.sectorSize); part != 0 {
		h.warn("the file ends %d bytes into a sector of %d: it was cut off", part, s.sectorSize)
	}
}

// A namedArea is an area, and the field to name if it is wrong.
type namedArea struct {
	area
	fieldOffset int64
	field       string
}

// overlap reports two areas that share bytes.
func overlap(areas []namedArea) error {
	slices.SortStableFunc(areas, func(a, b namedArea) int { return cmp.Compare(a.offset, b.offset) })
	for i := 1; i < len(areas); i++ {
		a, b := areas[i-1], areas[i]
		if a.offset+a.size > b.offset {
			return &FormatError{Offset: b.fieldOffset, Field: b.field, Value: b.offset,
				Want: fmt.Sprintf("an area of its own: %s ends at %d", a.field, a.offset+a.size)}
		}
	}
	return nil
}
