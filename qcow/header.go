package qcow

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"

	"github.com/luksimg/luksimg/image"
)

const (
	headerMagic  = "QFI\xfb"
	headerSizeV2 = 72
	headerSizeV3 = 104 // minimum

	// Offsets of the fields in a header (section "Header").
	offVersion       = 4
	offBackingOffset = 8
	offBackingSize   = 16
	offClusterBits   = 20
	offSize          = 24
	offCryptMethod   = 32
	offL1Size        = 36
	offL1Offset      = 40
	offReftable      = 48
	offReftableSize  = 56
	offSnapshots     = 60
	offSnapshotTable = 64
	offIncompatible  = 72
	offCompatible    = 80
	offAutoclear     = 88
	offRefcountOrder = 96
	offHeaderLength  = 100
	offCompression   = 104

	// QEMU has the same limits, so no writer exceeds them.
	minClusterBits   = 9
	maxClusterBits   = 21
	maxL1Bytes       = 32 << 20
	maxReftableBytes = 8 << 20
	maxSnapshots     = 65536
	maxNameBytes     = 1023

	cryptNone = 0
	cryptAES  = 1
	cryptLUKS = 2

	compressionZlib = 0
	compressionZstd = 1
)

// A header is the checked header of an image with its extensions.
type header struct {
	fileSize int64

	version     uint32
	clusterBits uint
	size        int64 // virtual size, bytes
	crypt       uint32
	l1Size      int64 // entries
	l1Offset    int64
	reftable    int64 // bytes
	reftableLen int64 // clusters
	snapshots   uint32
	snapshotOff int64

	incompatible  uint64
	compatible    uint64
	autoclear     uint64
	refcountOrder uint32
	headerLength  int64
	compression   uint8

	backingName   string
	backingOffset int64
	extensions
}

// readHeader reads and checks the first cluster of an image.
func readHeader(r io.ReaderAt, size int64) (*header, error) {
	if size < headerSizeV2 {
		return nil, &image.FormatError{Format: "qcow2", Field: "file size", Value: size,
			Want: fmt.Sprintf("at least %d bytes, the size of a header", headerSizeV2)}
	}
	raw := make([]byte, min(size, headerSizeV3+8))
	if _, err := readFull(r, raw, 0); err != nil {
		return nil, err
	}
	h, err := parseHeader(raw, size)
	if err != nil {
		return nil, err
	}
	// The first cluster holds the extensions and the name of the backing file; the rest of it is
	// padding.
	first := make([]byte, min(size, h.clusterSize()))
	if _, err := readFull(r, first, 0); err != nil {
		return nil, err
	}
	if err := h.parseBacking(first); err != nil {
		return nil, err
	}
	if err := h.parseExtensions(first); err != nil {
		return nil, err
	}
	if err := h.checkFeatures(); err != nil {
		return nil, err
	}
	return h, h.checkTables()
}

func fieldError(off int64, field string, value any, want string, args ...any) error {
	return &image.FormatError{Format: "qcow2", Offset: off, Field: field, Value: value, Want: fmt.Sprintf(want, args...)}
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("qcow2: %w: %s", image.ErrUnsupported, fmt.Sprintf(format, args...))
}

// hex writes a bit field or an offset.
func hex(v uint64) string { return fmt.Sprintf("%#x", v) }

// parseHeader parses the header proper from the first bytes of a file. References to other parts of
// the file are checked later.
func parseHeader(b []byte, fileSize int64) (*header, error) {
	be := binary.BigEndian
	if string(b[:4]) != headerMagic {
		return nil, fieldError(0, "magic", fmt.Sprintf("%q", b[:4]), "%q", headerMagic)
	}
	h := &header{
		fileSize:      fileSize,
		version:       be.Uint32(b[offVersion:]),
		crypt:         be.Uint32(b[offCryptMethod:]),
		l1Size:        int64(be.Uint32(b[offL1Size:])),
		reftableLen:   int64(be.Uint32(b[offReftableSize:])),
		snapshots:     be.Uint32(b[offSnapshots:]),
		refcountOrder: 4,
		headerLength:  headerSizeV2,
	}
	switch {
	case h.version == 1:
		return nil, unsupported("qcow version 1, want version 2 or 3")
	case h.version != 2 && h.version != 3:
		return nil, fieldError(offVersion, "version", h.version, "2 or 3")
	}
	cb := be.Uint32(b[offClusterBits:])
	if cb < minClusterBits || cb > maxClusterBits {
		return nil, fieldError(offClusterBits, "cluster_bits", cb, "from %d to %d", minClusterBits, maxClusterBits)
	}
	h.clusterBits = uint(cb)
	if h.version == 3 {
		if err := h.parseV3(b); err != nil {
			return nil, err
		}
	}
	for _, f := range []struct {
		off  int64
		name string
		to   *int64
	}{
		{offSize, "size", &h.size},
		{offL1Offset, "l1_table_offset", &h.l1Offset},
		{offReftable, "refcount_table_offset", &h.reftable},
		{offSnapshotTable, "snapshots_offset", &h.snapshotOff},
		{offBackingOffset, "backing_file_offset", &h.backingOffset},
	} {
		v := be.Uint64(b[f.off:])
		if v > math.MaxInt64 {
			return nil, fieldError(f.off, f.name, v, "less than 2^63")
		}
		*f.to = int64(v)
	}
	if h.crypt > cryptLUKS {
		return nil, fieldError(offCryptMethod, "crypt_method", h.crypt, "0 (none), 1 (AES) or 2 (LUKS)")
	}
	return h, nil
}

// parseV3 parses the fields that version 3 added.
func (h *header) parseV3(b []byte) error {
	if len(b) < headerSizeV3 {
		return fieldError(0, "file size", h.fileSize, "at least %d, the size of a version 3 header", headerSizeV3)
	}
	be := binary.BigEndian
	h.incompatible = be.Uint64(b[offIncompatible:])
	h.compatible = be.Uint64(b[offCompatible:])
	h.autoclear = be.Uint64(b[offAutoclear:])
	h.refcountOrder = be.Uint32(b[offRefcountOrder:])
	h.headerLength = int64(be.Uint32(b[offHeaderLength:]))
	if h.refcountOrder > 6 {
		return fieldError(offRefcountOrder, "refcount_order", h.refcountOrder, "at most 6")
	}
	switch n := h.headerLength; {
	case n < headerSizeV3:
		return fieldError(offHeaderLength, "header_length", n, "at least %d", headerSizeV3)
	case n%8 != 0:
		return fieldError(offHeaderLength, "header_length", n, "a multiple of 8")
	case n > h.clusterSize() || n > h.fileSize:
		return fieldError(offHeaderLength, "header_length", n, "at most %d, the end of the first cluster or of the file", min(h.clusterSize(), h.fileSize))
	case n > offCompression:
		h.compression = b[offCompression]
	}
	return nil
}

func (h *header) clusterSize() int64 { return 1 << h.clusterBits }

// entryBits returns log2 of the size of an L2 entry in bytes.
func (h *header) entryBits() uint {
	if h.extendedL2() {
		return 4
	}
	return 3
}

// perBlock returns the number of clusters that a refcount block covers.
func (h *header) perBlock() int64 { return h.clusterSize() * 8 >> h.refcountOrder }

// tableSpanBits returns log2 of the number of bytes of the disk that an L2 table covers.
func (h *header) tableSpanBits() uint { return 2*h.clusterBits - h.entryBits() }

// parseBacking parses the name of the backing file, which must lie in the first cluster, past the
// header.
func (h *header) parseBacking(first []byte) error {
	if h.backingOffset == 0 {
		return nil
	}
	n := int64(binary.BigEndian.Uint32(first[offBackingSize:]))
	if n > maxNameBytes {
		return fieldError(offBackingSize, "backing_file_size", n, "at most %d", maxNameBytes)
	}
	if h.backingOffset < h.headerLength {
		return fieldError(offBackingOffset, "backing_file_offset", h.backingOffset, "at least %d, the end of the header", h.headerLength)
	}
	if end := int64(len(first)); h.backingOffset > end || n > end-h.backingOffset {
		return fieldError(offBackingOffset, "backing_file_offset", h.backingOffset,
			"a name (here %d bytes) that ends by byte %d, the end of the first cluster or of the file", n, end)
	}
	name := first[h.backingOffset:][:n]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		return fieldError(h.backingOffset+int64(i), "backing file name", fmt.Sprintf("%q", name), "a name without a NUL")
	}
	h.backingName = string(name)
	return nil
}

// checkTables checks the offsets and sizes of the tables that the header refers to.
func (h *header) checkTables() error {
	if h.l1Size > maxL1Bytes/8 {
		return fieldError(offL1Size, "l1_size", h.l1Size, "at most %d", maxL1Bytes/8)
	}
	if need := h.l1Needed(h.size); h.l1Size < need {
		return fieldError(offL1Size, "l1_size", h.l1Size, "at least %d, for a disk of %d bytes", need, h.size)
	}
	if err := h.checkRange(offL1Offset, "l1_table_offset", h.l1Offset, h.l1Size*8); err != nil {
		return err
	}
	if h.reftableLen > maxReftableBytes>>h.clusterBits {
		return fieldError(offReftableSize, "refcount_table_clusters", h.reftableLen, "at most %d", maxReftableBytes>>h.clusterBits)
	}
	// QEMU reserves whole clusters but need not write the end of the last one.
	if err := h.checkRange(offReftable, "refcount_table_offset", h.reftable, min(h.reftableLen, 1)*8); err != nil {
		return err
	}
	if h.snapshots > maxSnapshots {
		return fieldError(offSnapshots, "nb_snapshots", h.snapshots, "at most %d", maxSnapshots)
	}
	return h.checkRange(offSnapshotTable, "snapshots_offset", h.snapshotOff, int64(h.snapshots)*snapshotFixed)
}

// l1Needed returns the number of L1 entries for a disk of size bytes.
func (h *header) l1Needed(size int64) int64 {
	if size == 0 {
		return 0
	}
	return (size-1)>>h.tableSpanBits() + 1
}

// checkRange checks that the n bytes at off start at a cluster boundary and lie in the file past
// the header's cluster. field is the offset of the header field that gives off. If n is 0, any off
// is valid.
func (h *header) checkRange(field int64, name string, off, n int64) error {
	switch {
	case n == 0:
		return nil
	case off&(h.clusterSize()-1) != 0:
		return fieldError(field, name, hex(uint64(off)), "a multiple of the cluster size %d", h.clusterSize())
	case off < h.clusterSize():
		return fieldError(field, name, hex(uint64(off)), "an offset past the header in the first cluster")
	case off > h.fileSize || n > h.fileSize-off:
		return fieldError(field, name, hex(uint64(off)), "an offset with %d bytes inside the file of %d bytes", n, h.fileSize)
	}
	return nil
}

// Detect reports whether the size bytes in r start like a qcow2 file, of any version. It reads 8
// bytes and returns false if that fails.
func Detect(r io.ReaderAt, size int64) bool {
	var b [8]byte
	if size < int64(len(b)) {
		return false
	}
	_, err := readFull(r, b[:], 0)
	return err == nil && string(b[:4]) == headerMagic
}

// log2 returns the base-2 logarithm of a power of two.
func log2(n int64) uint { return uint(bits.TrailingZeros64(uint64(n))) }
