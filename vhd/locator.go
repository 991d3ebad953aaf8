package vhd

import (
	"encoding/binary"
	"fmt"
	"unicode/utf16"

	"github.com/luksimg/luksimg/image"
)

// Platform codes of the parent locators that this package reads (section "Parent Locator Entries").
// It ignores Wi2r and Wi2k, which are deprecated, and "Mac ", an alias that only macOS can resolve.
const (
	locatorRelative = "W2ru"
	locatorAbsolute = "W2ku"
	locatorURL      = "MacX"
)

const (
	locatorCount = 8
	locatorSize  = 24

	// Offsets of the fields in a parent locator.
	offLocatorSpace  = 4
	offLocatorLength = 8
	offLocatorData   = 16

	// maxLocator is the longest Windows path in UTF-16, with its terminator.
	maxLocator = 2 * 32768
)

// A locator is an entry of the header that gives the offset of a name of the parent.
type locator struct {
	code   string
	space  uint32 // space for the name, in bytes or in sectors
	length uint32 // bytes
	offset uint64
}

func (h *header) locators() [locatorCount]locator {
	var all [locatorCount]locator
	be := binary.BigEndian
	for i := range all {
		b := h.raw[offLocators+i*locatorSize:][:locatorSize]
		all[i] = locator{
			code:   string(b[:4]),
			space:  be.Uint32(b[offLocatorSpace:]),
			length: be.Uint32(b[offLocatorLength:]),
			offset: be.Uint64(b[offLocatorData:]),
		}
	}
	return all
}

// room returns the number of bytes that a locator reserves for its name. The specification counts
// sectors, but many writers count bytes. As in libvhd, a value below the size of a sector counts
// sectors.
func (l locator) room() int64 {
	if l.space < sectorSize {
		return int64(l.space) * sectorSize
	}
	return int64(l.space)
}

// checkLocator checks a locator that will be read.
func (h *header) checkLocator(i int, l locator) error {
	at := int64(offLocators + i*locatorSize)
	field := func(name string) string { return fmt.Sprintf("parent locator %d (%s) %s", i, l.code, name) }
	switch {
	case l.length > maxLocator:
		return h.formatError(at+offLocatorLength, field("data length"), l.length, fmt.Sprintf("at most %d", maxLocator))
	case int64(l.length) > l.room():
		return h.formatError(at+offLocatorLength, field("data length"), l.length,
			fmt.Sprintf("at most %d, as its data space is %d", l.room(), l.space))
	case (l.code == locatorAbsolute || l.code == locatorRelative) && l.length%2 != 0:
		return h.formatError(at+offLocatorLength, field("data length"), l.length, "an even number, as the name is in UTF-16")
	case l.length > 0 && (l.offset < footerSize || l.offset > uint64(h.limit) || int64(l.offset) > h.limit-int64(l.length)):
		return h.formatError(at+offLocatorData, field("data offset"), l.offset,
			fmt.Sprintf("512 or more with %d bytes up to byte %d, %s", l.length, h.limit, limitName(h.footerEnd)))
	case l.length > 0 && int64(l.offset) < h.off+headerSize && h.off < l.end():
		return h.formatError(at+offLocatorData, field("data offset"), l.offset,
			fmt.Sprintf("a name that does not overlap the dynamic disk header at byte %d", h.off))
	case l.length > 0 && int64(l.offset) < h.tableEnd() && h.table < l.end():
		return h.formatError(at+offLocatorData, field("data offset"), l.offset,
			fmt.Sprintf("a name that does not overlap the block allocation table at byte %d", h.table))
	}
	return nil
}

// end returns the offset of the first byte past the name.
func (l locator) end() int64 { return int64(l.offset) + int64(l.length) }

// read reports whether this package reads the locator.
func (l locator) read() bool {
	return (l.code == locatorAbsolute || l.code == locatorRelative || l.code == locatorURL) && l.length > 0
}

// checkLocators checks that no block overlaps a name of the parent. The caller has checked the
// locators themselves.
func (h *header) checkLocators(bat []uint32) error {
	locators := h.locators()
	for i, l := range locators {
		if !l.read() {
			continue
		}
		for block, entry := range bat {
			start := int64(entry) * sectorSize
			if entry != absent && start < l.end() && int64(l.offset) < start+h.blockSpan() {
				return &image.FormatError{Format: "vhd", Offset: h.table + 4*int64(block),
					Field: fmt.Sprintf("block allocation table entry %d", block), Value: entry,
					Want: fmt.Sprintf("a block that does not overlap parent locator %d (%s) at byte %d", i, l.code, l.offset)}
			}
		}
	}
	return nil
}

// utf16Text decodes UTF-16 up to the first zero.
func utf16Text(b []byte, order binary.ByteOrder) string {
	units := make([]uint16, 0, len(b)/2)
	for ; len(b) > 1; b = b[2:] {
		u := order.Uint16(b)
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}
