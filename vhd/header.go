package vhd

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
)

const (
	headerSize   = 1024
	headerCookie = "cxsparse"

	// Where the fields of a dynamic disk header lie in it (section "Dynamic Disk
	// Header Format").
	offNext        = 8
	offTableOffset = 16
	offHeaderVer   = 24
	offMaxEntries  = 28
	offBlockSize   = 32
	offHeaderSum   = 36
	offParentID    = 40
	offParentTime  = 56
	offParentName  = 64
	parentNameSize = 512
	offLocators    = 576

	// maxBlockSize is far above what any writer uses (2 MiB, or 512 KiB).
	maxBlockSize = 256 << 20
)

// A header is a checked dynamic disk header.
type header struct {
	off       int64  // where it lies in the file, bytes
	next      uint64 // its data offset: unused by the specification
	table     int64  // where the block allocation table lies, bytes
	entries   int64  // max table entries
	blockSize int64  // bytes, a power of two
	limit     int64  // the first byte of the file that can hold no block
	footerEnd bool   // limit is that of a footer, not the end of the file
	raw       [headerSize]byte
}

// readHeader reads the dynamic disk header that f points to. Its fields are unchecked
// until check has been called.
func readHeader(r io.ReaderAt, f *footer) (*header, error) {
	if f.dataOffset < footerSize || f.limit < headerSize || f.dataOffset > uint64(f.limit-headerSize) {
		return nil, f.formatError(offDataOffset, "data offset", f.dataOffset,
			fmt.Sprintf("512 or more with %d bytes of dynamic disk header up to byte %d, %s", headerSize, f.limit, f.limitName()))
	}
	h := &header{off: int64(f.dataOffset), limit: f.limit, footerEnd: !f.isCopy}
	if _, err := readFull(r, h.raw[:], h.off); err != nil {
		return nil, err
	}
	be := binary.BigEndian
	h.next = be.Uint64(h.raw[offNext:])
	h.entries = int64(be.Uint32(h.raw[offMaxEntries:]))
	h.blockSize = int64(be.Uint32(h.raw[offBlockSize:]))
	return h, nil
}

func (h *header) formatError(at int64, field string, value any, want string) error {
	return &image.FormatError{Format: "vhd", Offset: h.off + at, Field: field, Value: value, Want: want}
}

// check refuses a header that is not as it should be.
func (h *header) check(f *footer) error {
	if err := h.checkSeal(); err != nil {
		return err
	}
	return h.checkLayout(f)
}

// checkSeal checks what tells that this is a header that nothing has damaged.
func (h *header) checkSeal() error {
	be := binary.BigEndian
	if string(h.raw[:8]) != headerCookie {
		return h.formatError(0, "header cookie", fmt.Sprintf("%q", h.raw[:8]), fmt.Sprintf("%q, which starts a dynamic disk header", headerCookie))
	}
	if got, want := be.Uint32(h.raw[offHeaderSum:]), checksum(h.raw[:], offHeaderSum); got != want {
		err := checksumError(h.off+offHeaderSum, got, want)
		err.Field = "header checksum"
		return err
	}
	if v := be.Uint32(h.raw[offHeaderVer:]); v>>16 != 1 {
		return h.formatError(offHeaderVer, "header version", versionText(v), "1.x")
	}
	return nil
}

// checkLayout checks the fields that say where blocks and their table are.
func (h *header) checkLayout(f *footer) error {
	if b := h.blockSize; b < sectorSize || b > maxBlockSize || b&(b-1) != 0 {
		return h.formatError(offBlockSize, "block size", b, fmt.Sprintf("a power of two from %d to %d", sectorSize, maxBlockSize))
	}
	table := binary.BigEndian.Uint64(h.raw[offTableOffset:])
	if table < footerSize || table > uint64(f.limit) {
		return h.formatError(offTableOffset, "table offset", table,
			fmt.Sprintf("from 512 to %d, %s", f.limit, f.limitName()))
	}
	h.table = int64(table)
	if 4*h.entries > f.limit-h.table {
		return h.formatError(offMaxEntries, "max table entries", h.entries,
			fmt.Sprintf("at most %d, as the block allocation table starts at byte %d and must end by byte %d, %s",
				(f.limit-h.table)/4, h.table, f.limit, f.limitName()))
	}
	if h.table < h.off+headerSize && h.off < h.tableEnd() {
		return h.formatError(offTableOffset, "table offset", table,
			fmt.Sprintf("a block allocation table that does not overlap the dynamic disk header at byte %d", h.off))
	}
	return nil
}

// tableEnd returns the offset of the first byte past the block allocation table.
func (h *header) tableEnd() int64 { return h.table + 4*h.entries }

// A region is a part of the file that metadata take.
type region struct {
	start, end int64
	name       string
}

// overlaps reports whether the region has some of the bytes from start to end.
func (r region) overlaps(start, end int64) bool { return start < r.end && r.start < end }

// regions returns what of the file no block may have: the specification says only that
// structures do not overlap, not in which order they are.
func (h *header) regions() []region {
	return []region{
		{0, footerSize, "the footer copy"},
		{h.off, h.off + headerSize, "the dynamic disk header"},
		{h.table, h.tableEnd(), "the block allocation table"},
	}
}

// bitmapSize returns the bytes of the bitmap that precedes the data of a block: a
// bit a sector, padded to whole sectors.
func (h *header) bitmapSize() int64 {
	bytes := (h.blockSize/sectorSize + 7) / 8
	return (bytes + sectorSize - 1) / sectorSize * sectorSize
}

// blockSpan returns the bytes that a block takes in the file.
func (h *header) blockSpan() int64 { return h.bitmapSize() + h.blockSize }

// limitName says what is at limit, for an error that ends in it.
func (f *footer) limitName() string { return limitName(!f.isCopy) }

func limitName(footerEnd bool) string {
	if footerEnd {
		return "where the footer is"
	}
	return "the end of the file, which has no footer there: it seems to be truncated"
}
