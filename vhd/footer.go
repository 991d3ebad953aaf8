package vhd

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/luksimg/luksimg/image"
)

const (
	footerSize   = 512
	footerCookie = "conectix"

	// Where the fields of a footer lie in it (section "Hard Disk Footer Format").
	// The hidden byte is XenServer's: the specification reserves it.
	offVersion      = 12
	offDataOffset   = 16
	offTimestamp    = 24
	offCreatorApp   = 28
	offCreatorVer   = 32
	offCreatorOS    = 36
	offCurrentSize  = 48
	offGeometry     = 56
	offDiskType     = 60
	offFooterSum    = 64
	offUniqueID     = 68
	offSavedState   = 84
	offHidden       = 85
	footerFieldsEnd = 86

	typeFixed        = 2
	typeDynamic      = 3
	typeDifferencing = 4

	// noOffset is the data offset where no structure follows. The specification's
	// text has 32 bits of ones in a 64-bit field; Microsoft's tools write 64.
	noOffset   = uint64(math.MaxUint64)
	noOffset32 = uint64(math.MaxUint32)

	// maxCHSSectors is the largest geometry, 65535 cylinders x 16 heads x 255
	// sectors: what every disk has that is too large for a geometry.
	maxCHSSectors = 65535 * 16 * 255

	// maxUsualSize is the limit of Hyper-V and Virtual PC, 2040 GiB.
	maxUsualSize = 2040 << 30
)

// A footer is a hard disk footer whose cookie and checksum are right. Its fields
// are unchecked until check has been called.
type footer struct {
	raw    [footerSize]byte
	off    int64 // where it lies in the file, bytes
	isCopy bool  // it is the copy at offset 0, as the one at the end is bad
	limit  int64 // the first byte of the file that can hold no block

	version    uint32
	dataOffset uint64 // of the dynamic disk header, bytes
	timestamp  uint32 // seconds since 2000-01-01 UTC
	creatorApp string
	creatorVer uint32 // major in the upper half
	creatorOS  string
	current    uint64 // current size, bytes
	cylinders  uint16
	heads      uint8
	sectors    uint8 // per track
	diskType   uint32
	savedState bool
	hidden     bool
}

// findFooter looks for a footer in the places where writers put it: the last 512
// bytes of the file, the last 511 (Virtual PC before 2004), and, for a dynamic
// disk whose end is damaged or missing, the copy at offset 0.
func findFooter(r io.ReaderAt, size int64) (*footer, error) {
	if size < footerSize {
		return nil, &image.FormatError{Format: "vhd", Field: "file size", Value: size,
			Want: fmt.Sprintf("at least %d bytes, the size of a footer", footerSize)}
	}
	var end, short, start [footerSize]byte
	if _, err := readFull(r, end[:], size-footerSize); err != nil {
		return nil, err
	}
	copy(short[:], end[1:]) // the missing last byte is reserved, hence zero
	if _, err := readFull(r, start[:], 0); err != nil {
		return nil, err
	}
	var worst *image.FormatError
	for _, c := range []struct {
		raw    *[footerSize]byte
		off    int64
		isCopy bool
		limit  int64
	}{
		{&end, size - footerSize, false, size - footerSize},
		{&short, size - footerSize + 1, false, size - footerSize + 1},
		{&start, 0, true, size},
	} {
		err := verifyFooter(c.raw, c.off)
		if err == nil {
			f := parseFooter(c.raw, c.off)
			f.isCopy, f.limit = c.isCopy, c.limit
			if f.off == 0 && f.diskType != typeFixed {
				// The file is cut right behind the copy, which so is at its end too.
				f.isCopy, f.limit = true, size
			}
			return f, nil
		}
		// A footer that is there but damaged says more than one that is absent.
		if worst == nil || err.Field == "checksum" && worst.Field != "checksum" {
			worst = err
		}
	}
	if worst.Field == "checksum" {
		return nil, fmt.Errorf("the footer checksum is wrong: %w", worst)
	}
	return nil, worst
}

// Detect reports whether the size bytes in r are a VHD of any type: the cookie of a footer
// is at the end, or at offset 0 as in a dynamic disk that has lost its end. The footer may be
// damaged: [Open] says so. Detect reads 1024 bytes at most; what cannot be read is no VHD.
func Detect(r io.ReaderAt, size int64) bool {
	_, ok := Find(r, size)
	return ok
}

// Find returns the offset of the cookie that [Detect] looks for, and whether there is one.
// Of two it is the one at the end.
func Find(r io.ReaderAt, size int64) (off int64, ok bool) {
	for _, off := range []int64{size - footerSize, size - footerSize + 1, 0} { // where findFooter looks
		var cookie [len(footerCookie)]byte
		if off < 0 || off > size-int64(len(cookie)) {
			continue
		}
		if _, err := readFull(r, cookie[:], off); err == nil && string(cookie[:]) == footerCookie {
			return off, true
		}
	}
	return 0, false
}

// verifyFooter checks the cookie and the checksum of a footer at off.
func verifyFooter(raw *[footerSize]byte, off int64) *image.FormatError {
	if string(raw[:8]) != footerCookie {
		return &image.FormatError{Format: "vhd", Offset: off, Field: "cookie",
			Value: fmt.Sprintf("%q", raw[:8]), Want: fmt.Sprintf("%q, which starts the footer of a VHD", footerCookie)}
	}
	got := binary.BigEndian.Uint32(raw[offFooterSum:])
	want := checksum(raw[:], offFooterSum)
	if got == want {
		return nil
	}
	// Early XenServer tools marked a disk as hidden without a new checksum.
	if v := binary.BigEndian.Uint32(raw[offCreatorVer:]); isTap(string(raw[offCreatorApp:][:4])) && (v == 0x00000001 || v == 0x00010001) {
		visible := *raw
		visible[offHidden] = 0
		if got == checksum(visible[:], offFooterSum) {
			return nil
		}
	}
	return checksumError(off+offFooterSum, got, want)
}

func parseFooter(raw *[footerSize]byte, off int64) *footer {
	be := binary.BigEndian
	return &footer{
		raw:        *raw,
		off:        off,
		version:    be.Uint32(raw[offVersion:]),
		dataOffset: be.Uint64(raw[offDataOffset:]),
		timestamp:  be.Uint32(raw[offTimestamp:]),
		creatorApp: string(raw[offCreatorApp:][:4]),
		creatorVer: be.Uint32(raw[offCreatorVer:]),
		creatorOS:  string(raw[offCreatorOS:][:4]),
		current:    be.Uint64(raw[offCurrentSize:]),
		cylinders:  be.Uint16(raw[offGeometry:]),
		heads:      raw[offGeometry+2],
		sectors:    raw[offGeometry+3],
		diskType:   be.Uint32(raw[offDiskType:]),
		savedState: raw[offSavedState] != 0,
		hidden:     raw[offHidden] != 0,
	}
}

// check refuses what this package does not know how to read.
func (f *footer) check() error {
	if f.version>>16 != 1 {
		return f.formatError(offVersion, "file format version", versionText(f.version), "1.x")
	}
	switch f.diskType {
	case typeFixed, typeDynamic, typeDifferencing:
		return nil
	}
	return f.formatError(offDiskType, "disk type", f.diskType, "2 (fixed), 3 (dynamic) or 4 (differencing)")
}

// virtualSize returns the size of the disk in bytes: its current size, or that of
// its geometry.
func (f *footer) virtualSize(byCHS bool) (int64, error) {
	if byCHS && f.chsSectors() < maxCHSSectors {
		if f.chsSectors() == 0 && f.current != 0 {
			return 0, f.sizeError(true, "a geometry with sectors in it, as the size is to be taken from there")
		}
		return f.chsSize(), nil
	}
	if f.current > math.MaxInt64 {
		return 0, f.sizeError(false, "less than 2^63")
	}
	if f.current%sectorSize != 0 {
		return 0, f.sizeError(false, "a multiple of 512")
	}
	return int64(f.current), nil
}

func (f *footer) chsSectors() int64 {
	return int64(f.cylinders) * int64(f.heads) * int64(f.sectors)
}

func (f *footer) chsSize() int64 { return f.chsSectors() * sectorSize }

// lsbBitmaps reports whether sector bitmaps count from the lowest bit of a byte, as
// version 0.1 of XenServer's tools did.
func (f *footer) lsbBitmaps() bool {
	return isTap(f.creatorApp) && f.creatorVer == 0x00000001
}

// sizeError is about the field that gave the virtual size.
func (f *footer) sizeError(byCHS bool, want string) error {
	if byCHS && f.chsSectors() < maxCHSSectors {
		return f.formatError(offGeometry, "disk geometry",
			fmt.Sprintf("%d/%d/%d (%d bytes)", f.cylinders, f.heads, f.sectors, f.chsSize()), want)
	}
	return f.formatError(offCurrentSize, "current size", f.current, want)
}

func (f *footer) formatError(at int64, field string, value any, want string) error {
	return &image.FormatError{Format: "vhd", Offset: f.off + at, Field: field, Value: value, Want: want}
}

// isTap reports whether creator is a version of XenServer's tapdisk or vhd-util.
func isTap(creator string) bool { return strings.HasPrefix(creator, "tap") }

// checksum is the ones' complement of the sum of the bytes, with the checksum
// itself, a 32-bit field at off, taken as zero.
func checksum(b []byte, off int) uint32 {
	var sum uint32
	for i, v := range b {
		if i < off || i >= off+4 {
			sum += uint32(v)
		}
	}
	return ^sum
}

func checksumError(off int64, got, want uint32) *image.FormatError {
	return &image.FormatError{Format: "vhd", Offset: off, Field: "checksum", Value: fmt.Sprintf("%#08x", got),
		Want: fmt.Sprintf("%#08x, the ones' complement of the sum of the bytes", want)}
}

// versionText writes a version whose major part is the upper half, as "1.0".
func versionText(v uint32) string { return fmt.Sprintf("%d.%d", v>>16, v&0xffff) }
