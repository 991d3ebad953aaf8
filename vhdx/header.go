package vhdx

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"strings"
	"unicode/utf16"

	"github.com/luksimg/luksimg/image"
)

// Offsets in every file (MS-VHDX, section 2.2). All numbers in a file are little-endian.
const (
	mib = 1 << 20

	fileMagic   = "vhdxfile"
	offCreator  = 8
	creatorSize = 512

	header1Offset = 64 << 10
	header2Offset = 128 << 10
	region1Offset = 192 << 10
	region2Offset = 256 << 10
	headerEnd     = mib // end of the header section; all else follows it

	headerMagic = "head"
	headerSize  = 4096

	// Offsets of the fields in a header (section 2.2.2).
	offChecksum   = 4 // also in a region table and a log entry
	offSequence   = 8
	offFileWrite  = 16
	offDataWrite  = 32
	offLogGUID    = 48
	offLogVersion = 64
	offVersion    = 66
	offLogLength  = 68
	offLogOffset  = 72
)

// A header is the checked current header.
type header struct {
	off       int64 // offset in the file
	sequence  uint64
	dataWrite guid
	logGUID   guid // zero if the log is empty
	logOffset int64
	logLength int64
	creator   string
	warnings  []string
}

func fieldError(off int64, field string, value any, want string, args ...any) error {
	return &image.FormatError{Format: "vhdx", Offset: off, Field: field, Value: value, Want: fmt.Sprintf(want, args...)}
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("vhdx: %w: %s", image.ErrUnsupported, fmt.Sprintf(format, args...))
}

// clampInt64 converts an offset to int64. A value that is too large stays outside every file.
func clampInt64(v uint64) int64 { return int64(min(v, math.MaxInt64)) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum returns the CRC-32C of a structure. It counts the checksum field as zero.
func checksum(b []byte) uint32 {
	c := crc32.Update(0, castagnoli, b[:offChecksum])
	c = crc32.Update(c, castagnoli, make([]byte, 4))
	return crc32.Update(c, castagnoli, b[offChecksum+4:])
}

// readHeader reads the file type identifier and both headers. It checks and returns the current
// header: the intact one with the higher sequence number.
func readHeader(r io.ReaderAt, size int64) (*header, error) {
	if size < headerEnd {
		return nil, fieldError(0, "file size", size, "at least %d bytes, the size of the header section", headerEnd)
	}
	id := make([]byte, offCreator+creatorSize)
	if _, err := readFull(r, id, 0); err != nil {
		return nil, err
	}
	if string(id[:len(fileMagic)]) != fileMagic {
		return nil, fieldError(0, "signature", fmt.Sprintf("%q", id[:len(fileMagic)]), "%q", fileMagic)
	}
	h, err := currentHeader(r)
	if err != nil {
		return nil, err
	}
	h.creator = utf16Text(id[offCreator:])
	return h, h.checkLog(size)
}

func currentHeader(r io.ReaderAt) (*header, error) {
	a, bad1, err := readOneHeader(r, header1Offset)
	if err != nil {
		return nil, err
	}
	b, bad2, err := readOneHeader(r, header2Offset)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	h, off := a, int64(header1Offset)
	switch {
	case bad1 != nil && bad2 != nil:
		return nil, bad1
	case bad1 != nil:
		h, off = b, header2Offset
	case bad2 != nil:
	case le.Uint64(b[offSequence:]) > le.Uint64(a[offSequence:]):
		h, off = b, header2Offset
	case le.Uint64(b[offSequence:]) == le.Uint64(a[offSequence:]) && string(a) != string(b):
		return nil, fieldError(header2Offset+offSequence, "SequenceNumber", le.Uint64(b[offSequence:]),
			"a number other than that of the first header, as the headers differ")
	}
	if v := le.Uint16(h[offVersion:]); v != 1 {
		return nil, unsupported("format version %d, want 1", v)
	}
	c := &header{
		off:       off,
		sequence:  le.Uint64(h[offSequence:]),
		dataWrite: guid(h[offDataWrite:][:16]),
		logGUID:   guid(h[offLogGUID:][:16]),
		logOffset: clampInt64(le.Uint64(h[offLogOffset:])),
		logLength: int64(le.Uint32(h[offLogLength:])),
	}
	if bad1 != nil || bad2 != nil {
		c.warnings = append(c.warnings, "one of the two headers is damaged; the other was used")
	}
	if v := le.Uint16(h[offLogVersion:]); v != 0 {
		if c.dirty() {
			return nil, unsupported("log version %d, want 0 for a log that must be replayed", v)
		}
		c.warnings = append(c.warnings, fmt.Sprintf("the log has the unknown version %d; it is empty and ignored", v))
	}
	return c, nil
}

// readOneHeader reads a header. bad says why it is damaged, if it is.
func readOneHeader(r io.ReaderAt, off int64) (b []byte, bad, err error) {
	b = make([]byte, headerSize)
	if _, err := readFull(r, b, off); err != nil {
		return nil, nil, err
	}
	if string(b[:4]) != headerMagic {
		return b, fieldError(off, "header signature", fmt.Sprintf("%q", b[:4]), "%q, or an intact header at offset %d", headerMagic, header2Offset), nil
	}
	if got, want := binary.LittleEndian.Uint32(b[offChecksum:]), checksum(b); got != want {
		return b, fieldError(off+offChecksum, "header checksum", fmt.Sprintf("%#x", got), "%#x, or an intact header at offset %d", want, header2Offset), nil
	}
	return b, nil, nil
}

// dirty reports whether the log must be replayed.
func (h *header) dirty() bool { return h.logGUID != guid{} }

// checkLog checks the offset and the length of the log.
func (h *header) checkLog(size int64) error {
	switch {
	case h.logLength%mib != 0:
		return fieldError(h.off+offLogLength, "LogLength", h.logLength, "a multiple of 1 MiB")
	case h.logLength == 0 && h.dirty():
		return fieldError(h.off+offLogLength, "LogLength", h.logLength, "more than 0, as the log must be replayed")
	case h.logOffset%mib != 0:
		return fieldError(h.off+offLogOffset, "LogOffset", h.logOffset, "a multiple of 1 MiB")
	case h.logLength == 0:
		return nil
	case h.logOffset < headerEnd:
		return fieldError(h.off+offLogOffset, "LogOffset", h.logOffset, "at least 1 MiB, the end of the header section")
	case h.logLength > size || h.logOffset > size-h.logLength:
		return fieldError(h.off+offLogOffset, "LogOffset", h.logOffset, "an offset with %d bytes of log inside the file of %d bytes", h.logLength, size)
	}
	return nil
}

// utf16Text decodes little-endian UTF-16 up to the first NUL, if any.
func utf16Text(b []byte) string {
	u := make([]uint16, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		v := binary.LittleEndian.Uint16(b)
		if v == 0 {
			break
		}
		u = append(u, v)
	}
	return strings.ToValidUTF8(string(utf16.Decode(u)), "?")
}
