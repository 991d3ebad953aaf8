package xz

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/luksimg/luksimg/internal/lzma"
)

// A blockHeader holds the fields of a block header (section 3.1). A missing size is -1.
type blockHeader struct {
	size     int64 // size of the header in bytes
	packed   int64
	unpacked int64
	filters  []filterFlags // in order of encoding, without LZMA2
	dict     uint32
}

// A filterFlags describes a filter of a block (section 3.1.5).
type filterFlags struct {
	id    int64
	props []byte
}

const filterLZMA2 = 0x21

// filterNames are the filters of section 5.3 and later ones. Filters that newFilter does not implement
// are an error.
var filterNames = map[int64]string{
	0x03: "delta", 0x04: "x86", 0x05: "PowerPC", 0x06: "IA-64", 0x07: "ARM", 0x08: "ARM-Thumb", 0x09: "SPARC", 0x0a: "ARM64", 0x0b: "RISC-V", filterLZMA2: "LZMA2",
}

// readBlockHeader reads the header of a block at byte at of the file. first is its first byte, which is
// not 0.
func readBlockHeader(r io.Reader, first byte, at int64) (h blockHeader, err error) {
	var room [1024]byte
	b := room[:(int(first)+1)*4]
	b[0] = first
	if _, err := io.ReadFull(r, b[1:]); err != nil {
		return h, early(err, "the header of a block", at)
	}
	end := len(b) - 4
	if crc32.ChecksumIEEE(b[:end]) != binary.LittleEndian.Uint32(b[end:]) {
		return h, corrupt("CRC32 of the header of the block at byte %d is wrong", at)
	}
	if h, err = parseBlockHeader(b[1:end]); err == io.EOF {
		err = corrupt("its fields exceed its size")
	}
	if err != nil {
		return h, atBlock(err, at)
	}
	h.size = int64(len(b))
	return h, nil
}

// parseBlockHeader parses a block header without its size byte and CRC32. The error is io.EOF if the
// header is too short.
func parseBlockHeader(b []byte) (h blockHeader, err error) {
	flags := b[0]
	if flags&0x3c != 0 {
		return h, unsupported("unknown block flags %#02x", flags)
	}
	r := bytes.NewReader(b[1:])
	h.packed, h.unpacked = -1, -1
	if flags&0x40 != 0 {
		if h.packed, err = readVLI(r, "its compressed size"); err != nil {
			return h, err
		}
		if h.packed == 0 {
			return h, corrupt("its compressed size is 0")
		}
	}
	if flags&0x80 != 0 {
		if h.unpacked, err = readVLI(r, "its uncompressed size"); err != nil {
			return h, err
		}
	}
	last := int(flags & 3)
	for i := range last + 1 {
		f := filterFlags{}
		if f.id, err = readVLI(r, "the ID of a filter"); err != nil {
			return h, err
		}
		n, err := readVLI(r, "the size of a filter's properties")
		if err != nil {
			return h, err
		}
		if n > int64(r.Len()) {
			return h, io.EOF
		}
		f.props = make([]byte, n)
		io.ReadFull(r, f.props) // the length was checked
		if err := h.add(f, i == last); err != nil {
			return h, err
		}
	}
	if !zero(b[len(b)-r.Len():]) {
		return h, unsupported("header padding that is not zero")
	}
	return h, nil
}

// add adds a filter. LZMA2 must be the last filter, and no other can be.
func (h *blockHeader) add(f filterFlags, last bool) error {
	name, ok := filterNames[f.id]
	switch {
	case !ok:
		return unsupported("filter %#x", f.id)
	case (f.id == filterLZMA2) != last:
		return unsupported("filter %s at an invalid place in the chain", name)
	case last:
		if len(f.props) != 1 {
			return unsupported("filter LZMA2 has %d bytes of properties, not 1", len(f.props))
		}
		dict, err := lzma.DictSize(f.props[0])
		if err != nil {
			return unsupported("%v", err)
		}
		h.dict = dict
		return nil
	}
	if _, err := newFilter(f); err != nil {
		return err
	}
	h.filters = append(h.filters, f)
	return nil
}
