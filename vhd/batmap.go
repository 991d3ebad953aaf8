package vhd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
)

// XenServer writes a map of the blocks whose sectors are all in the file, the batmap, after the
// block allocation table. It serves only speed, and this package does not use it. But its header
// also holds the hash of the key of an encrypted disk. libvhd is the only specification of the
// format.
const (
	batmapCookie = "tdbatmap"

	// Offsets of the fields in a batmap header, which is one sector.
	offBatmapOffset  = 8
	offBatmapSize    = 16 // sectors
	offBatmapVersion = 20
	offBatmapSum     = 24
	offBatmapMarker  = 28
	offKeyCookie     = 29 // 1 if a key hash follows
	offKeyNonce      = 30
	offKeyHash       = 62

	batmapVersion       = 0x00010002
	batmapVersionSigned = 0x00010001 // its checksum adds signed bytes
)

// A batmap is an unchecked batmap header.
type batmap struct {
	off     int64  // offset of the header in the file, bytes
	offset  uint64 // offset of the map, in bytes
	sectors uint32 // size of the map
	version uint32
	sum     uint32
	raw     [sectorSize]byte
}

// batmapOffset returns the offset of the batmap header, if the file has one.
func (h *header) batmapOffset() int64 {
	return h.table + (4*h.entries+sectorSize-1)/sectorSize*sectorSize
}

// findBatmap returns the batmap header, or nil if the file has none. Bytes inside a block do not
// count, as a guest can have written them.
func findBatmap(r io.ReaderAt, h *header, bat []uint32) (*batmap, error) {
	b := &batmap{off: h.batmapOffset()}
	if b.off > h.limit-sectorSize {
		return nil, nil
	}
	if _, err := readFull(r, b.raw[:], b.off); err != nil {
		return nil, err
	}
	if string(b.raw[:len(batmapCookie)]) != batmapCookie || h.blockIn(bat, b.off, b.off+sectorSize) >= 0 {
		return nil, nil
	}
	be := binary.BigEndian
	b.offset = be.Uint64(b.raw[offBatmapOffset:])
	b.sectors = be.Uint32(b.raw[offBatmapSize:])
	b.version = be.Uint32(b.raw[offBatmapVersion:])
	b.sum = be.Uint32(b.raw[offBatmapSum:])
	return b, nil
}

// blockIn returns a block that overlaps the bytes from start to end of the file, or -1.
func (h *header) blockIn(bat []uint32, start, end int64) int {
	for i, entry := range bat {
		at := int64(entry) * sectorSize
		if entry != absent && at < end && start < at+h.blockSpan() {
			return i
		}
	}
	return -1
}

// key returns the key hash, or nil if the disk is not encrypted.
func (b *batmap) key() (*keyHash, error) {
	switch c := b.raw[offKeyCookie]; c {
	case 0:
		return nil, nil
	case 1:
		return &keyHash{[32]byte(b.raw[offKeyNonce:]), [32]byte(b.raw[offKeyHash:])}, nil
	default:
		return nil, b.formatError(offKeyCookie, "key hash cookie", c, "0, or 1 if the disk is encrypted")
	}
}

func (b *batmap) formatError(at int64, field string, value any, want string) error {
	return &image.FormatError{Format: "vhd", Offset: b.off + at, Field: "batmap " + field, Value: value, Want: want}
}

// check checks the header and the checksum of the map. It returns an *image.FormatError for a
// problem of these; other errors are read errors.
func (b *batmap) check(r io.ReaderAt, h *header, bat []uint32) error {
	need := ((h.entries+7)/8 + sectorSize - 1) / sectorSize
	size := int64(b.sectors) * sectorSize
	switch {
	case b.version>>16 != 1 || b.version > batmapVersion:
		return b.formatError(offBatmapVersion, "version", versionText(b.version), "1.1 or 1.2")
	case int64(b.sectors) < need || int64(b.sectors) > need+maxBatmapSpare:
		return b.formatError(offBatmapSize, "size", b.sectors,
			fmt.Sprintf("from %d to %d sectors, as the table has %d entries", need, need+maxBatmapSpare, h.entries))
	case b.offset < uint64(b.off+sectorSize) || b.offset > uint64(h.limit) || int64(b.offset) > h.limit-size:
		return b.formatError(offBatmapOffset, "offset", b.offset,
			fmt.Sprintf("%d or more with %d bytes up to byte %d, %s", b.off+sectorSize, size, h.limit, limitName(h.footerEnd)))
	}
	if i := h.blockIn(bat, int64(b.offset), int64(b.offset)+size); i >= 0 {
		return b.formatError(offBatmapOffset, "offset", b.offset,
			fmt.Sprintf("a map that does not overlap block %d, which starts at sector %d", i, bat[i]))
	}
	var sum uint32
	err := b.chunks(r, func(_ int64, p []byte) error {
		sum += b.sumOf(p)
		return nil
	})
	if err != nil {
		return err
	}
	if ^sum != b.sum {
		return b.formatError(offBatmapSum, "checksum", fmt.Sprintf("%#08x", b.sum),
			fmt.Sprintf("%#08x, the ones' complement of the sum of the map", ^sum))
	}
	return nil
}

// maxBatmapSpare is the number of sectors by which a map can exceed its minimum size.
const maxBatmapSpare = 4096

// sumOf adds up bytes as the checksum of this version does.
func (b *batmap) sumOf(p []byte) (sum uint32) {
	for _, v := range p {
		if b.version == batmapVersionSigned {
			sum += uint32(int32(int8(v)))
		} else {
			sum += uint32(v)
		}
	}
	return sum
}

// chunks calls visit for each part of the map, with its offset in the map.
func (b *batmap) chunks(r io.ReaderAt, visit func(at int64, p []byte) error) error {
	buf := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(buf)
	size := int64(b.sectors) * sectorSize
	for at := int64(0); at < size; at += chunkSize {
		p := buf[:min(chunkSize, size-at)]
		if _, err := readFull(r, p, int64(b.offset)+at); err != nil {
			return err
		}
		if err := visit(at, p); err != nil {
			return err
		}
	}
	return nil
}

// readBatmap records the batmap of the disk and its key hash.
func (d *Disk) readBatmap(h *header) error {
	b, err := findBatmap(d.file.R, h, d.bat)
	if b == nil || err != nil {
		return err
	}
	d.info.Batmap = true
	k, err := b.key()
	if err != nil {
		return err
	}
	if k != nil {
		d.encrypted(k)
	}
	err = b.check(d.file.R, h, d.bat)
	if errors.As(err, new(*image.FormatError)) {
		d.warnf("the batmap, which is not used, is not valid: %v", err)
		return nil
	}
	return err
}
