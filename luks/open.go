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

// maxKeySize bounds the length of a key in bytes. The longest keys of dm-crypt have 128 bytes;
// cryptsetup allows up to 512.
const maxKeySize = 512

// Detect reports whether r, a file of size bytes, starts with the magic of a LUKS header. It also
// detects a secondary LUKS2 header by its magic and its own offset. It reads little and does not
// validate the header.
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

// isCopy reports whether a binary header with this magic is at off. A secondary header must contain its
// own offset. If it has another one, it was made for another image or is part of a file.
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

// Open reads and validates the header of the LUKS image in r, a file of size bytes. If the primary
// header of a LUKS2 image is damaged, the secondary one is used; see [Info.Warnings]. The header is
// read once, so the validated bytes are the ones used. Key material is read when a key slot is tried,
// so r must stay open.
//
// An unknown or invalid part of a header does not prevent the use of the rest. It is listed in
// [Info.Warnings], and functions that need it return an error.
//
// Errors: [ErrNotLUKS], [ErrFormat] with a [FormatError], [ErrUnsupported], and the errors of
// [OpenOptions.Accept] and r.
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

// open reads and validates the header without calling [OpenOptions.Accept].
func open(r io.ReaderAt, size int64, o OpenOptions) (*Header, error) {
	var b [8]byte
	if size < int64(len(b)) {
		return nil, fmt.Errorf("%w: the file has only %d bytes", ErrNotLUKS, size)
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

// noteTruncated adds a warning if the image ends within a sector.
func (h *Header) noteTruncated() {
	s := h.segment
	if s.offset == 0 || s.size != 0 || h.size < s.offset {
		return
	}
	if part := (h.size - s.offset) % int64(s.sectorSize); part != 0 {
		h.warn("the file ends %d bytes into a sector of %d: it was cut off", part, s.sectorSize)
	}
}

// A namedArea is an area and its field name for errors.
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
				Want: fmt.Sprintf("an area that does not overlap %s, which ends at %d", a.field, a.offset+a.size)}
		}
	}
	return nil
}
