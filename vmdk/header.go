package vmdk

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
)

const (
	headerSize = sectorSize

	// Offsets of the fields in a SparseExtentHeader (section "Hosted Sparse Extent Header").
	offVersion           = 4
	offFlags             = 8
	offCapacity          = 12
	offGrainSize         = 20
	offDescriptor        = 28
	offDescriptorSize    = 36
	offEntries           = 44
	offRedundant         = 48
	offDirectory         = 56
	offOverHead          = 64
	offUncleanShutdown   = 72
	offLineEnds          = 73
	offCompressAlgorithm = 77

	flagLineEnds   = 1 << 0  // the bytes at offLineEnds are valid
	flagRedundant  = 1 << 1  // has a second grain directory
	flagZeroGrain  = 1 << 2  // grain table entry 1 means a grain of zeros
	flagCompressed = 1 << 16 // grains are compressed
	flagMarkers    = 1 << 17 // grains and metadata have markers

	// The lower unknown flags change how an extent must be read.
	incompatibleFlags = 0xffff

	// lineEnds detects a file that was transferred as text.
	lineEnds = "\n \r\n"

	minGrain   = 8    // minimum, in sectors
	maxGrain   = 4096 // maximum, in sectors: 2 MiB
	maxEntries = 4096 // maximum in a grain table

	// maxDirectory is the maximum number of entries in all grain directories of a disk. At the
	// usual 32 MiB per entry, that is 128 TiB.
	maxDirectory = 4 << 20

	// directoryAtEnd is the grain directory offset that refers to the footer.
	directoryAtEnd = 1<<64 - 1
)

// A header is a checked SparseExtentHeader, with sectors converted to bytes.
type header struct {
	at       int64 // offset in the file: 0, or that of the footer
	fileSize int64

	version    uint32
	flags      uint32
	sectors    int64 // capacity
	grainBits  uint  // log2 of the grain size in bytes
	tableBits  uint  // log2 of the entries of a grain table
	compressed bool

	descriptor     int64
	descriptorSize int64
	directory      int64
	redundant      int64 // 0 if there is none
	overHead       int64
}

// readHeader reads the header of a sparse extent, or its footer if that has the offset of the grain
// directory.
func readHeader(r io.ReaderAt, fileSize int64) (h *header, warnings []string, err error) {
	if fileSize < headerSize {
		return nil, nil, fieldError(0, "file size", fileSize, "at least %d bytes, the size of a header", headerSize)
	}
	raw := make([]byte, headerSize)
	if _, err := readFull(r, raw, 0); err != nil {
		return nil, nil, err
	}
	at := int64(0)
	if string(raw[:4]) == magicSparse && binary.LittleEndian.Uint64(raw[offDirectory:]) == directoryAtEnd {
		first := raw
		if raw, at, warnings, err = readFooter(r, fileSize); err != nil {
			return nil, nil, err
		}
		if !bytes.Equal(first[:offRedundant], raw[:offRedundant]) {
			warnings = append(warnings, "the header and the footer differ in more than the offset of the grain directory: the footer was used")
		}
		// Some writers give the descriptor only in the header.
		if binary.LittleEndian.Uint64(raw[offDescriptor:]) == 0 {
			copy(raw[offDescriptor:offEntries], first[offDescriptor:offEntries])
		}
	}
	h, err = parseHeader(raw, at, fileSize)
	if err != nil {
		return nil, nil, err
	}
	if raw[offUncleanShutdown] != 0 {
		warnings = append(warnings, "the disk was not closed properly: the latest writes can be missing")
	}
	if unknown := h.flags &^ (flagLineEnds | flagRedundant | flagZeroGrain | flagCompressed | flagMarkers); unknown != 0 {
		warnings = append(warnings, fmt.Sprintf("the header has unknown flags %#x", unknown))
	}
	return h, warnings, nil
}

// readFooter finds the footer of a stream-optimized extent (section "Stream-Optimized Compressed
// Sparse Extents"). The file ends with a marker, a copy of the header, and the end-of-stream
// marker, a sector of zeros. More zeros can follow.
func readFooter(r io.ReaderAt, fileSize int64) (raw []byte, at int64, warnings []string, err error) {
	const tail = 64 << 10
	end := fileSize &^ (sectorSize - 1)
	buf := make([]byte, min(end, tail))
	start := end - int64(len(buf))
	if _, err := readFull(r, buf, start); err != nil {
		return nil, 0, nil, err
	}
	n := len(buf)
	for n > 0 && allZero(buf[n-sectorSize:n]) {
		n -= sectorSize
	}
	at = start + int64(n) - headerSize
	if n < 2*sectorSize || at < 2*sectorSize || string(buf[n-headerSize:][:4]) != magicSparse {
		return nil, 0, nil, fieldError(offDirectory, "gdOffset", "at the end of the file", "a footer at the end of the file: it is truncated")
	}
	m := parseMarker(buf[n-headerSize-sectorSize:])
	if m.size != 0 || m.kind != markerFooter {
		return nil, 0, nil, fieldError(at-sectorSize, "footer marker", m.String(), "type %d and size 0", markerFooter)
	}
	if n == len(buf) {
		warnings = append(warnings, "the end-of-stream marker is missing")
	}
	return buf[n-headerSize : n], at, warnings, nil
}

func allZero(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	return bytes.Count(b, []byte{0}) == len(b)
}

// parseHeader parses a header at offset at of its file.
func parseHeader(b []byte, at, fileSize int64) (*header, error) {
	le := binary.LittleEndian
	if string(b[:4]) != magicSparse {
		return nil, fieldError(at, "magicNumber", fmt.Sprintf("%q", b[:4]), "%q", magicSparse)
	}
	h := &header{at: at, fileSize: fileSize, version: le.Uint32(b[offVersion:]), flags: le.Uint32(b[offFlags:])}
	switch {
	case h.version == 0:
		return nil, fieldError(at+offVersion, "version", h.version, "from 1 to 3")
	case h.version > 3:
		return nil, unsupported("sparse extent version %d, want 1 to 3", h.version)
	}
	if unknown := h.flags & incompatibleFlags &^ (flagLineEnds | flagRedundant | flagZeroGrain); unknown != 0 {
		return nil, unsupported("unknown flags %#x of a sparse extent", unknown)
	}
	if h.flags&(flagMarkers|flagCompressed) == flagMarkers {
		return nil, unsupported("a sparse extent with markers but without compression")
	}
	if got := b[offLineEnds:][:len(lineEnds)]; h.flags&flagLineEnds != 0 && string(got) != lineEnds {
		return nil, fieldError(at+offLineEnds, "line end bytes", fmt.Sprintf("%q", got), "%q: the file was transferred as text", lineEnds)
	}
	switch algorithm := le.Uint16(b[offCompressAlgorithm:]); {
	case algorithm > 1:
		return nil, fieldError(at+offCompressAlgorithm, "compressAlgorithm", algorithm, "0 (none) or 1 (deflate)")
	case h.flags&flagCompressed == 0:
	case algorithm == 0:
		return nil, fieldError(at+offCompressAlgorithm, "compressAlgorithm", algorithm, "1 (deflate), as grains are compressed")
	default:
		h.compressed = true
	}
	grain := le.Uint64(b[offGrainSize:])
	if grain < minGrain || grain > maxGrain || bits.OnesCount64(grain) != 1 {
		return nil, fieldError(at+offGrainSize, "grainSize", grain, "a power of two from %d to %d sectors", minGrain, maxGrain)
	}
	h.grainBits = uint(bits.TrailingZeros64(grain * sectorSize))
	entries := le.Uint32(b[offEntries:])
	if entries == 0 || entries > maxEntries || bits.OnesCount32(entries) != 1 {
		return nil, fieldError(at+offEntries, "numGTEsPerGT", entries, "a power of two up to %d, usually 512", maxEntries)
	}
	h.tableBits = uint(bits.TrailingZeros32(entries))
	capacity := le.Uint64(b[offCapacity:])
	if capacity == 0 || capacity > maxSectors {
		return nil, fieldError(at+offCapacity, "capacity", capacity, "from 1 to %d sectors", int64(maxSectors))
	}
	h.sectors = int64(capacity)
	return h, h.parseOffsets(b)
}

// parseOffsets parses the fields that locate metadata in the file.
func (h *header) parseOffsets(b []byte) error {
	le := binary.LittleEndian
	err := cmp.Or(
		h.parseOffset(b, offDescriptor, "descriptorOffset", &h.descriptor),
		h.parseOffset(b, offDescriptorSize, "descriptorSize", &h.descriptorSize),
		h.parseOffset(b, offDirectory, "gdOffset", &h.directory),
		h.parseOffset(b, offOverHead, "overHead", &h.overHead),
	)
	if err != nil {
		return err
	}
	switch {
	case h.descriptor == 0:
		h.descriptorSize = 0
	case h.descriptorSize == 0 || h.descriptorSize > maxDescriptor:
		return fieldError(h.at+offDescriptorSize, "descriptorSize", h.descriptorSize/sectorSize, "from 1 to %d sectors", maxDescriptor/sectorSize)
	case h.descriptorSize > h.fileSize-h.descriptor:
		return fieldError(h.at+offDescriptor, "descriptorOffset", h.descriptor/sectorSize, "a descriptor of %d sectors inside the file of %d sectors",
			h.descriptorSize/sectorSize, h.fileSize/sectorSize)
	}
	if n := h.directoryLen(); n > maxDirectory {
		return unsupported("%d grain tables in a sparse extent, want at most %d", n, maxDirectory)
	}
	if h.flags&flagRedundant != 0 {
		// The redundant directory is optional: ignore an invalid offset.
		if v := le.Uint64(b[offRedundant:]); v <= uint64(h.fileSize/sectorSize) {
			h.redundant = int64(v) * sectorSize
		}
	}
	return nil
}

// parseOffset parses a field that counts sectors of the file, and converts it to bytes.
func (h *header) parseOffset(b []byte, off int64, name string, to *int64) error {
	v := binary.LittleEndian.Uint64(b[off:])
	if most := uint64(h.fileSize / sectorSize); v > most {
		return fieldError(h.at+off, name, v, "at most %d, the number of sectors in the file: it is truncated or damaged", most)
	}
	*to = int64(v) * sectorSize
	return nil
}

// spanBits returns log2 of the number of bytes of the disk that a grain table covers.
func (h *header) spanBits() uint { return h.grainBits + h.tableBits }

// size returns the number of bytes of the disk that the extent can hold.
func (h *header) size() int64 { return h.sectors * sectorSize }

// grains returns the number of grains of the extent.
func (h *header) grains() int64 { return (h.size()-1)>>h.grainBits + 1 }

// directoryLen returns the number of entries of the grain directory.
func (h *header) directoryLen() int64 { return (h.size()-1)>>h.spanBits() + 1 }

// tableSectors returns the number of sectors of a grain table.
func (h *header) tableSectors() int64 { return (4<<h.tableBits + sectorSize - 1) / sectorSize }
