package vhd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
)

// XenServer keeps a map of the blocks whose sectors are all in the file behind the
// block allocation table: the batmap. It is about speed only, and not used here. But
// its header also has the hash of the key of an encrypted disk. What is said here of
// the format is from libvhd, its only specification.
const (
	batmapCookie = "tdbatmap"

	// Where the fields of a batmap header lie in it, a sector.
	offBatmapOffset  = 8
	offBatmapSize    = 16 // sectors
	offBatmapVersion = 20
	offBatmapSum     = 24
	offBatmapMarker  = 28
	offKeyCookie     = 29 // 1 if a key hash follows
	offKeyNonce      = 30
	offKeyHash       = 62

	batmapVersion       = 0x00010002
	batmapVersionSigned = 0x00010001 // its checksum takes bytes as signed
)

// A batmap is a header of a batmap, unchecked.
type batmap struct {
	off     int64  // of the header in the file, bytes
	offset  uint64 // of the map
	sectors uint32 // of the map
	version uint32
	sum     uint32
	raw     [sectorSize]byte
}

// batmapOffset returns where in the file a batmap header is, if there is one.
func (h *header) batmapOffset() int64 {
	return h.table + (4*h.entries+sectorSize-1)/sectorSize*sectorSize
}

// findBatmap returns the header of the batmap, or nil if the file has none. What is in
// a block is none, whatever its guest has written there.
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

// blockIn returns a block that has some of the bytes from start to end of the file,
// or -1.
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

// check checks the header, and the checksum of the map. A *image.FormatError is about
// those, other errors about reading.
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

// maxBatmapSpare is how many sectors a map may be larger than it need be.
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

// chunks calls visit for each part of the map, with where in the map it is.
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

// readBatmap notes the batmap of the disk, and its key hash.
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
