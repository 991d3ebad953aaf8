package vhd

import (
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf16"

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
	offParentName  = 64
	parentNameSize = 512

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
}

// readHeader reads and checks the dynamic disk header that f points to.
func readHeader(r io.ReaderAt, f *footer) (*header, error) {
	if f.dataOffset < footerSize || f.limit < headerSize || f.dataOffset > uint64(f.limit-headerSize) {
		return nil, f.formatError(offDataOffset, "data offset", f.dataOffset,
			fmt.Sprintf("512 or more with %d bytes of dynamic disk header up to byte %d, %s", headerSize, f.limit, f.limitName()))
	}
	off := int64(f.dataOffset)
	var raw [headerSize]byte
	if _, err := readFull(r, raw[:], off); err != nil {
		return nil, err
	}
	be := binary.BigEndian
	h := &header{
		off:       off,
		next:      be.Uint64(raw[offNext:]),
		entries:   int64(be.Uint32(raw[offMaxEntries:])),
		blockSize: int64(be.Uint32(raw[offBlockSize:])),
		limit:     f.limit,
		footerEnd: !f.isCopy,
	}
	fail := func(at int64, field string, value any, want string) error {
		return &image.FormatError{Format: "vhd", Offset: off + at, Field: field, Value: value, Want: want}
	}
	if string(raw[:8]) != headerCookie {
		return nil, fail(0, "header cookie", fmt.Sprintf("%q", raw[:8]), fmt.Sprintf("%q, which starts a dynamic disk header", headerCookie))
	}
	if got, want := be.Uint32(raw[offHeaderSum:]), checksum(raw[:], offHeaderSum); got != want {
		err := checksumError(off+offHeaderSum, got, want)
		err.Field = "header checksum"
		return nil, err
	}
	if v := be.Uint32(raw[offHeaderVer:]); v>>16 != 1 {
		return nil, fail(offHeaderVer, "header version", versionText(v), "1.x")
	}
	if b := h.blockSize; b < sectorSize || b > maxBlockSize || b&(b-1) != 0 {
		return nil, fail(offBlockSize, "block size", b, fmt.Sprintf("a power of two from %d to %d", sectorSize, maxBlockSize))
	}
	table := be.Uint64(raw[offTableOffset:])
	if table < footerSize || table > uint64(f.limit) {
		return nil, fail(offTableOffset, "table offset", table,
			fmt.Sprintf("from 512 to %d, %s", f.limit, f.limitName()))
	}
	h.table = int64(table)
	if 4*h.entries > f.limit-h.table {
		return nil, fail(offMaxEntries, "max table entries", h.entries,
			fmt.Sprintf("at most %d, as the block allocation table starts at byte %d and must end by byte %d, %s",
				(f.limit-h.table)/4, h.table, f.limit, f.limitName()))
	}
	if h.table < off+headerSize && off < h.tableEnd() {
		return nil, fail(offTableOffset, "table offset", table,
			fmt.Sprintf("a block allocation table that does not overlap the dynamic disk header at byte %d", off))
	}
	return h, nil
}

// tableEnd returns the offset of the first byte past the block allocation table.
func (h *header) tableEnd() int64 { return h.table + 4*h.entries }

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

// differencingError refuses a differencing disk, with the name of its parent where
// the header gives it.
func differencingError(r io.ReaderAt, f *footer) error {
	parent := ""
	var raw [headerSize]byte
	if f.limit >= headerSize && f.dataOffset <= uint64(f.limit-headerSize) {
		if _, err := readFull(r, raw[:], int64(f.dataOffset)); err == nil && string(raw[:8]) == headerCookie {
			parent = parentName(raw[offParentName:][:parentNameSize])
		}
	}
	if parent != "" {
		parent = fmt.Sprintf(" %q", parent)
	}
	return fmt.Errorf("vhd: this is a differencing disk: it holds only the changes to its parent disk%s and must be merged with it first: %w",
		parent, image.ErrUnsupported)
}

// parentName decodes a big-endian UTF-16 name, which ends at the first zero.
func parentName(b []byte) string {
	var units []uint16
	for i := 0; i+1 < len(b); i += 2 {
		u := binary.BigEndian.Uint16(b[i:])
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}

// noteKeyHash warns of a disk that XenServer's vhd-util has encrypted: the batmap
// header behind the block allocation table then holds a hash of the key.
func (d *Disk) noteKeyHash(h *header) error {
	const (
		cookie     = "tdbatmap"
		offKeyHash = 29 // 1 if a key hash follows
	)
	off := (h.tableEnd() + sectorSize - 1) / sectorSize * sectorSize
	if off > h.limit-sectorSize {
		return nil
	}
	var raw [sectorSize]byte
	if _, err := readFull(d.r, raw[:], off); err != nil {
		return err
	}
	if string(raw[:len(cookie)]) == cookie && raw[offKeyHash] == 1 {
		d.info.Encrypted = true
		d.warnf("the disk is encrypted: its sectors are read as the ciphertext that vhd-util wrote")
	}
	return nil
}
