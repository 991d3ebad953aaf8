package luks

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// The binary header of LUKS2 has two copies, each followed by its JSON area. LUKS2 On-Disk Format
// Specification, section 2.1. Integers are big-endian.
const (
	v2BinarySize      = 4096
	v2HdrSize         = 16 << 10 // default length of each copy with its JSON area
	v2DataOffset      = 16 << 20
	v2MaxKeyslotsSize = 128 << 20

	v2HdrSizeAt   = 8
	v2SeqidAt     = 16
	v2LabelAt     = 24
	v2CsumAlgAt   = 72
	v2SaltAt      = 104
	v2SaltSize    = 64
	v2UUIDAt      = 168
	v2SubsystemAt = 208
	v2HdrOffsetAt = 256
	v2CsumAt      = 448
	v2CsumSize    = 64
)

var v2SecondMagic = [6]byte{'S', 'K', 'U', 'L', 0xba, 0xbe}

// v2HeaderSizes are the valid lengths of a copy, and so the valid offsets of the secondary header.
var v2HeaderSizes = []int64{16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20}

// encodeV2 encodes both copies of the header and places the key material.
func (h *Header) encodeV2(material []byte, rand io.Reader) error {
	text, err := h.encodeJSON()
	if err == nil && len(h.fresh) > 0 {
		err = h.checkTokens(text)
	}
	if err != nil {
		return err
	}
	h.raw = text
	primary, err := h.encodeCopy(0, text, rand)
	if err != nil {
		return err
	}
	secondary, err := h.encodeCopy(h.hdrSize, text, rand)
	if err != nil {
		return err
	}
	h.made = &madeHeader{regions: []region{{0, primary}, {h.hdrSize, secondary}, {h.slots[0].area.offset, material}}}
	return nil
}

// encodeCopy encodes the copy of the header for the given offset.
func (h *Header) encodeCopy(offset int64, text []byte, rand io.Reader) ([]byte, error) {
	b := make([]byte, h.hdrSize)
	be := binary.BigEndian
	copy(b, magic[:])
	if offset != 0 {
		copy(b, v2SecondMagic[:])
	}
	be.PutUint16(b[6:], 2)
	be.PutUint64(b[v2HdrSizeAt:], uint64(h.hdrSize))
	be.PutUint64(b[v2SeqidAt:], h.seqid)
	copy(b[v2LabelAt:], h.label)
	copy(b[v2CsumAlgAt:], "sha256")
	salt, err := randomBytes(rand, v2SaltSize) // each copy has its own salt
	if err != nil {
		return nil, err
	}
	copy(b[v2SaltAt:], salt)
	copy(b[v2UUIDAt:], h.uuid)
	copy(b[v2SubsystemAt:], h.subsystem)
	be.PutUint64(b[v2HdrOffsetAt:], uint64(offset))
	if len(text) >= len(b)-v2BinarySize { // at least one NUL must follow
		return nil, fmt.Errorf("luks: the metadata need %d bytes, more than the JSON area has", len(text))
	}
	copy(b[v2BinarySize:], text)
	sum := sha256.Sum256(b) // the checksum field is zero here
	copy(b[v2CsumAt:], sum[:])
	return b, nil
}

// openV2 reads both copies of the header and returns the newer one, or the primary if they are equally
// new.
func openV2(r io.ReaderAt, size int64) (*Header, error) {
	primary, errPrimary := readCopy(r, size, 0)
	at := v2HeaderSizes
	if primary != nil {
		at = []int64{primary.hdrSize}
	}
	var secondary *Header
	errSecondary := ErrNotLUKS
	for _, off := range at {
		h, err := readCopy(r, size, off)
		if h != nil {
			secondary, errSecondary = h, nil
			break
		}
		if errSecondary == ErrNotLUKS {
			errSecondary = err
		}
	}
	switch {
	case primary == nil && secondary == nil:
		if errors.Is(errPrimary, ErrNotLUKS) && errSecondary != ErrNotLUKS {
			return nil, errSecondary
		}
		return nil, errPrimary
	case primary == nil:
		secondary.stale[0] = true
		secondary.warn("the primary header cannot be used; the secondary header is used: %v", errPrimary)
		return secondary, secondary.lookForOthers(r, size)
	case secondary == nil:
		primary.stale[1] = true
		primary.warn("the secondary header cannot be used: %v", errSecondary)
		return primary, nil
	case secondary.seqid > primary.seqid:
		secondary.stale[0] = true
		secondary.warn("the primary header is older than the secondary header, which is used: sequence numbers %d and %d", primary.seqid, secondary.seqid)
		return secondary, nil
	case secondary.seqid < primary.seqid:
		primary.stale[1] = true
		primary.warn("the secondary header is older than the primary header: sequence numbers %d and %d", secondary.seqid, primary.seqid)
	case !primary.same(secondary):
		primary.stale[1] = true
		primary.warn("the two headers differ but have the same sequence number: the primary header is used")
	}
	return primary, nil
}

// same reports whether two copies have the same content.
func (h *Header) same(other *Header) bool {
	return bytes.Equal(h.raw, other.raw) && h.label == other.label && h.subsystem == other.subsystem && h.uuid == other.uuid
}

func (h *Header) warn(format string, args ...any) {
	h.warnings = append(h.warnings, fmt.Sprintf(format, args...))
}

// readCopy reads and validates the copy of the header at offset.
func readCopy(r io.ReaderAt, size, offset int64) (*Header, error) {
	want := magic
	if offset != 0 {
		want = v2SecondMagic
	}
	if !isCopy(r, size, offset, want) {
		return nil, ErrNotLUKS
	}
	bin := make([]byte, v2BinarySize)
	if err := readFull(r, bin, offset); err != nil {
		return nil, fmt.Errorf("luks: reading the LUKS2 header at offset %d: %w", offset, err)
	}
	be := binary.BigEndian
	wrong := func(at int, field string, value any, want string) error {
		return &FormatError{Offset: offset + int64(at), Field: field, Value: value, Want: want}
	}
	if v := be.Uint16(bin[6:]); v != 2 {
		return nil, ErrNotLUKS
	}
	n := be.Uint64(bin[v2HdrSizeAt:])
	if n > 4<<20 || !slices.Contains(v2HeaderSizes, int64(n)) {
		return nil, wrong(v2HdrSizeAt, "hdr_size", n, "a power of two from 16384 to 4194304")
	}
	hdrSize := int64(n)
	if offset != 0 && offset != hdrSize {
		return nil, wrong(v2HdrSizeAt, "hdr_size", n, fmt.Sprintf("%d, where the secondary header is", offset))
	}
	if v := be.Uint64(bin[v2HdrOffsetAt:]); v != uint64(offset) {
		return nil, wrong(v2HdrOffsetAt, "hdr_offset", v, fmt.Sprint(offset))
	}
	h := &Header{version: 2, hdrSize: hdrSize, seqid: be.Uint64(bin[v2SeqidAt:])}
	h.label, h.subsystem = fixedText(bin[v2LabelAt:][:labelSize]), fixedText(bin[v2SubsystemAt:][:labelSize])
	h.uuid = fixedText(bin[v2UUIDAt:][:40])
	if alg := fixedText(bin[v2CsumAlgAt:][:32]); !strings.EqualFold(alg, "sha256") {
		return nil, wrong(v2CsumAlgAt, "csum_alg", fmt.Sprintf("%q", alg), `"sha256"`)
	}
	if size < offset+hdrSize {
		return nil, fmt.Errorf("luks: the header at offset %d has %d bytes, the file ends before: %w", offset, hdrSize, io.ErrUnexpectedEOF)
	}
	b := make([]byte, hdrSize)
	copy(b, bin)
	if err := readFull(r, b[v2BinarySize:], offset+v2BinarySize); err != nil {
		return nil, fmt.Errorf("luks: reading the LUKS2 header at offset %d: %w", offset, err)
	}
	clear(b[v2CsumAt:][:v2CsumSize])
	if sum := sha256.Sum256(b); !bytes.Equal(sum[:], bin[v2CsumAt:][:sha256.Size]) {
		return nil, wrong(v2CsumAt, "csum", fmt.Sprintf("%x", bin[v2CsumAt:][:sha256.Size]), fmt.Sprintf("%x", sum))
	}
	if err := h.decodeJSON(b[v2BinarySize:], offset+v2BinarySize); err != nil {
		return nil, err
	}
	return h, nil
}
