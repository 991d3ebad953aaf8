package qcow

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// Types of header extensions (section "Header extensions").
const (
	extEnd           = 0
	extBackingFormat = 0xe2792aca
	extFeatureNames  = 0x6803f857
	extBitmaps       = 0x23852875
	extCrypto        = 0x0537be77
	extDataFile      = 0x44415441

	featureNameSize = 48

	// maxCryptoBytes far exceeds the size of a LUKS1 header with its key slots.
	maxCryptoBytes = 64 << 20
)

// extensions holds the content of the header extensions.
type extensions struct {
	backingFormat string
	dataFileName  string
	featureNames  map[featureKey]string

	hasCrypto    bool
	cryptoOffset int64
	cryptoLength int64
	cryptoField  int64 // offset of the extension's data in the file

	hasBitmaps bool
	bitmaps    uint32
	bitmapDir  int64
	bitmapSize int64 // size of the directory in bytes
}

// parseExtensions parses the header extensions. They lie between the header and the name of the
// backing file, or the end of the first cluster.
func (h *header) parseExtensions(first []byte) error {
	be := binary.BigEndian
	end := int64(len(first))
	if h.backingOffset != 0 {
		end = h.backingOffset
	}
	seen := map[uint32]bool{}
	for at := h.headerLength; end-at >= 8; {
		kind, n := be.Uint32(first[at:]), int64(be.Uint32(first[at+4:]))
		if kind == extEnd {
			return nil
		}
		data := at + 8
		if n > end-data {
			return fieldError(at+4, "header extension length", n, "at most %d, the space left for extension %#08x", end-data, kind)
		}
		switch kind {
		case extBackingFormat, extFeatureNames, extBitmaps, extCrypto, extDataFile:
			if seen[kind] {
				return fieldError(at, "header extension type", hex(uint64(kind)), "a type that occurs only once")
			}
			seen[kind] = true
			if err := h.parseExtension(kind, first[data:data+n], data); err != nil {
				return err
			}
		}
		at = data + (n+7)&^7
	}
	return nil
}

// parseExtension parses one extension. Its data is at off of the file.
func (h *header) parseExtension(kind uint32, b []byte, off int64) error {
	be := binary.BigEndian
	var err error
	switch kind {
	case extBackingFormat:
		h.backingFormat, err = extensionText(b, off, "backing file format")
	case extDataFile:
		h.dataFileName, err = extensionText(b, off, "external data file name")
	case extFeatureNames:
		h.featureNames = map[featureKey]string{}
		for ; len(b) >= featureNameSize && len(h.featureNames) < 3*64; b = b[featureNameSize:] {
			if b[0] <= featureAutoclear && b[1] < 64 {
				h.featureNames[featureKey{b[0], b[1]}] = string(bytes.TrimRight(b[2:featureNameSize], "\x00"))
			}
		}
	case extBitmaps:
		// Invalid bitmaps do not prevent reading the disk. Check reports them.
		h.hasBitmaps = true
		if len(b) >= 24 {
			h.bitmaps = be.Uint32(b)
			h.bitmapSize = clampInt64(be.Uint64(b[8:]))
			h.bitmapDir = clampInt64(be.Uint64(b[16:]))
		}
	case extCrypto:
		err = h.parseCrypto(b, off)
	}
	return err
}

func (h *header) parseCrypto(b []byte, off int64) error {
	be := binary.BigEndian
	if h.crypt != cryptLUKS {
		return fieldError(off-8, "header extension type", hex(extCrypto), "another type, as this one requires crypt_method is 2 (LUKS), not %d", h.crypt)
	}
	if len(b) != 16 {
		return fieldError(off-4, "length of the encryption header extension", len(b), "16")
	}
	h.cryptoOffset, h.cryptoLength = clampInt64(be.Uint64(b)), clampInt64(be.Uint64(b[8:]))
	if h.cryptoLength == 0 {
		return fieldError(off+8, "encryption header length", 0, "more than 0")
	}
	if h.cryptoLength > maxCryptoBytes {
		return fieldError(off+8, "encryption header length", h.cryptoLength, "at most %d", maxCryptoBytes)
	}
	h.hasCrypto, h.cryptoField = true, off
	return h.checkRange(off, "encryption header offset", h.cryptoOffset, h.cryptoLength)
}

// extensionText returns the text of an extension.
func extensionText(b []byte, off int64, name string) (string, error) {
	if len(b) > maxNameBytes {
		return "", fieldError(off-4, "length of the "+name, len(b), "at most %d", maxNameBytes)
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return "", fieldError(off+int64(i), name, fmt.Sprintf("%q", b), "text without a NUL")
	}
	return string(b), nil
}

// clampInt64 converts an offset or a length to int64. A value that is too large stays outside every
// file.
func clampInt64(v uint64) int64 { return int64(min(v, math.MaxInt64)) }
