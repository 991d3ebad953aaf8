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

	// Offsets of the fields in a dynamic disk header (section "Dynamic Disk Header Format").
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

	// maxBlockSize far exceeds the block size of any writer (2 MiB or 512 KiB).
	maxBlockSize = 256 << 20
)

// A header is a checked dynamic disk header.
type header struct {
	off       int64  // offset in the file, bytes
	next      uint64 // data offset, unused by the specification
	table     int64  // offset of the block allocation table, bytes
	entries   int64  // max table entries
	blockSize int64  // bytes, a power of two
	limit     int64  // end of the space for blocks in the file
	footerEnd bool   // limit is the start of a footer, not the end of the file
	raw       [headerSize]byte
}

// readHeader reads the dynamic disk header that f refers to. Call check before using its fields.
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

// check refuses an invalid header.
func (h *header) check(f *footer) error {
	if err := h.checkSeal(); err != nil {
		return err
	}
	return h.checkLayout(f)
}

// checkSeal checks the cookie, checksum and version of the header.
func (h *header) checkSeal() error {
	be := binary.BigEndian
	if string(h.raw[:8]) != headerCookie {
		return h.formatError(0, "header cookie", fmt.Sprintf("%q", h.raw[:8]), fmt.Sprintf("%q", headerCookie))
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

// checkLayout checks the fields that describe blocks and their table.
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

// A region is a part of the file that metadata occupies.
type region struct {
	start, end int64
	name       string
}

// overlaps reports whether the region overlaps the bytes from start to end.
func (r region) overlaps(start, end int64) bool { return start < r.end && r.start < end }

// regions returns the parts of the file that blocks must not overlap. The specification forbids
// overlaps but gives no order of the structures.
func (h *header) regions() []region {
	return []region{
		{0, footerSize, "the footer copy"},
		{h.off, h.off + headerSize, "the dynamic disk header"},
		{h.table, h.tableEnd(), "the block allocation table"},
	}
}

// bitmapSize returns the size in bytes of the bitmap in front of the data of a block: one bit per
// sector, padded to whole sectors.
func (h *header) bitmapSize() int64 {
	bytes := (h.blockSize/sectorSize + 7) / 8
	return (bytes + sectorSize - 1) / sectorSize * sectorSize
}

// blockSpan returns the number of bytes of a block with its bitmap in the file.
func (h *header) blockSpan() int64 { return h.bitmapSize() + h.blockSize }

// limitName describes limit for the end of an error text.
func (f *footer) limitName() string { return limitName(!f.isCopy) }

func limitName(footerEnd bool) string {
	if footerEnd {
		return "the start of the footer"
	}
	return "the end of the file, which has no footer and seems truncated"
}
