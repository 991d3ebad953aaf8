package vdi

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"strings"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
	"github.com/luksimg/luksimg/internal/guid"
)

const format = "vdi"

// signature is VDI_IMAGE_SIGNATURE, 0xbeda107f, in the byte order of a file. The text in front of
// it differs between writers.
const signature = "\x7f\x10\xda\xbe"

// Offsets of the fields in the file. All numbers are little-endian.
const (
	offSignature  = 0x40
	offVersion    = 0x44
	offHeaderSize = 0x48 // cbHeader, counted from this offset
	offType       = 0x4c // u32Type
	offComment    = 0x54 // szComment
	offMap        = 0x154
	offData       = 0x158
	offDiskSize   = 0x170
	offBlockSize  = 0x178
	offBlockExtra = 0x17c
	offBlocks     = 0x180
	offAllocated  = 0x184
	offID         = 0x188 // uuidCreate
	offLinkage    = 0x1a8 // uuidLinkage: UUID of the parent
	headerEnd     = 0x1c8

	commentSize = 256
	version11   = 1<<16 | 1
	sectorSize  = 512
)

// The types of an image.
const (
	typeDynamic      = 1
	typeFixed        = 2
	typeUndo         = 3
	typeDifferencing = 4
)

const (
	minBlockSize = 4 << 10
	maxBlockSize = 1 << 30
)

// A header is the checked header of a VDI.
type header struct {
	typ        uint32
	comment    string
	id         guid.GUID
	end        int64 // end of the header in the file
	mapOff     int64 // offset of the block map
	dataOff    int64 // offset of block 0 of the file
	size       int64 // size of the disk
	blockSize  int64
	blockShift uint
	extra      int64 // bytes in front of the data of each block in the file
	entries    int64 // number of entries of the block map
	allocated  int64 // number of blocks in the file, according to the header
	warnings   []string
}

// blocks returns the number of blocks of the disk.
func (h *header) blocks() int64 { return (h.size + h.blockSize - 1) >> h.blockShift }

// mapSize returns the size in bytes of the part of the block map that the disk needs.
func (h *header) mapSize() int64 { return h.blocks() * entrySize }

// mapEnd returns the end of the whole block map in the file.
func (h *header) mapEnd() int64 { return h.mapOff + h.entries*entrySize }

// stride returns the distance of blocks in the file.
func (h *header) stride() int64 { return h.extra + h.blockSize }

// readHeader reads and checks the header of a file of size bytes.
func readHeader(r io.ReaderAt, size int64) (*header, error) {
	if size < headerEnd {
		return nil, fieldError(0, "file size", size, "at least %d, the size of the header", headerEnd)
	}
	b := make([]byte, headerEnd)
	if _, err := readFull(r, b, 0); err != nil {
		return nil, err
	}
	if got := string(b[offSignature:][:len(signature)]); got != signature {
		return nil, fieldError(offSignature, "u32Signature", fmt.Sprintf("%#x", get32(b, offSignature)), "0xbeda107f")
	}
	if v := get32(b, offVersion); v != version11 {
		return nil, unsupported("version %d.%d, want 1.1", v>>16, v&0xffff)
	}
	h := &header{
		typ:       get32(b, offType),
		comment:   text(b[offComment:][:commentSize]),
		id:        guid.GUID(b[offID:][:16]),
		end:       offHeaderSize + int64(get32(b, offHeaderSize)),
		mapOff:    int64(get32(b, offMap)),
		dataOff:   int64(get32(b, offData)),
		blockSize: int64(get32(b, offBlockSize)),
		extra:     int64(get32(b, offBlockExtra)),
		entries:   int64(get32(b, offBlocks)),
		allocated: int64(get32(b, offAllocated)),
	}
	if err := h.checkType(guid.GUID(b[offLinkage:][:16])); err != nil {
		return nil, err
	}
	return h, h.check(binary.LittleEndian.Uint64(b[offDiskSize:]), size)
}

// checkType refuses an image that needs other images.
func (h *header) checkType(parent guid.GUID) error {
	switch h.typ {
	case typeDynamic, typeFixed:
		if parent != (guid.GUID{}) {
			return unsupported("a disk that is linked to another disk (uuidLinkage %s), such as a snapshot: clone it with VBoxManage clonemedium", parent)
		}
		return nil
	case typeDifferencing:
		return unsupported("a differencing disk with the parent %s: clone it with VBoxManage clonemedium", parent)
	case typeUndo:
		return unsupported("an image of type 3 (undo)")
	}
	return fieldError(offType, "u32Type", h.typ, "1 (dynamic) or 2 (fixed)")
}

// check checks sizes and offsets and sets the fields that follow from them.
func (h *header) check(diskSize uint64, fileSize int64) error {
	if h.blockSize < minBlockSize || h.blockSize > maxBlockSize || h.blockSize&(h.blockSize-1) != 0 {
		return fieldError(offBlockSize, "cbBlock", h.blockSize, "a power of two from %d to %d", minBlockSize, maxBlockSize)
	}
	h.blockShift = uint(bits.TrailingZeros64(uint64(h.blockSize)))
	// The map has at most 2^32 entries, so the comparison does not overflow.
	if most := uint64(h.entries) << h.blockShift; diskSize > most {
		return fieldError(offDiskSize, "cbDisk", diskSize, "at most %d, as the block map has %d entries for blocks of %d bytes", most, h.entries, h.blockSize)
	}
	h.size = int64(diskSize)
	if rest := h.size % sectorSize; rest != 0 {
		h.warnings = append(h.warnings, fmt.Sprintf("the disk has %d bytes, not a multiple of %d: its size is rounded up, as in QEMU", h.size, sectorSize))
		h.size += sectorSize - rest
	}
	if h.end < headerEnd-16 || h.end > fileSize { // uuidParentModify can be missing
		return fieldError(offHeaderSize, "cbHeader", h.end-offHeaderSize, "at least %d, with the header inside the file of %d bytes", headerEnd-16-offHeaderSize, fileSize)
	}
	if h.mapOff < h.end || h.mapEnd() > fileSize {
		return fieldError(offMap, "offBlocks", h.mapOff, "an offset past the header's end %[2]d, with %[1]d entries inside the file of %[3]d bytes", h.entries, h.end, fileSize)
	}
	if h.dataOff < h.end {
		return fieldError(offData, "offData", h.dataOff, "an offset past the header, which ends at %d", h.end)
	}
	return nil
}

// text returns a text up to its first zero byte.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

func get32(b []byte, off int) uint32 { return binary.LittleEndian.Uint32(b[off:]) }

func readFull(r io.ReaderAt, p []byte, off int64) (int, error) {
	return disk.ReadFull(format, r, p, off)
}

func fieldError(off int64, field string, value any, want string, args ...any) error {
	return &image.FormatError{Format: format, Offset: off, Field: field, Value: value, Want: fmt.Sprintf(want, args...)}
}

func unsupported(what string, args ...any) error {
	return fmt.Errorf("%s: %w: %s", format, image.ErrUnsupported, fmt.Sprintf(what, args...))
}
