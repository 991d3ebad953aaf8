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

	// Offsets of the fields in a footer (section "Hard Disk Footer Format"). XenServer defines the
	// hidden byte, which the specification reserves.
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

	// noOffset is the data offset if no structure follows. The specification has 32 one bits in
	// this 64-bit field; Microsoft's tools write 64.
	noOffset   = uint64(math.MaxUint64)
	noOffset32 = uint64(math.MaxUint32)

	// maxCHSSectors is the size of the largest geometry, 65535 cylinders x 16 heads x 255 sectors.
	// Disks that are too large for a geometry have this one.
	maxCHSSectors = 65535 * 16 * 255

	// maxUsualSize is the limit of Hyper-V and Virtual PC, 2040 GiB.
	maxUsualSize = 2040 << 30
)

// A footer is a hard disk footer with a valid cookie and checksum. Call check before using its
// other fields.
type footer struct {
	raw    [footerSize]byte
	off    int64 // offset in the file, bytes
	isCopy bool  // the copy at offset 0, as the footer at the end is invalid
	limit  int64 // end of the space for blocks in the file

	version    uint32
	dataOffset uint64 // offset of the dynamic disk header, bytes
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

// findFooter finds the footer in the last 512 bytes of the file, or in the last 511 (Virtual PC
// before 2004). If the end of a dynamic disk is damaged or missing, it uses the copy at offset 0.
func findFooter(r io.ReaderAt, size int64) (*footer, error) {
	if size < footerSize {
		return nil, &image.FormatError{Format: "vhd", Field: "file size", Value: size,
			Want: fmt.Sprintf("at least %d bytes, the size of a footer", footerSize)}
	}
	var end, short, start [footerSize]byte
	if _, err := readFull(r, end[:], size-footerSize); err != nil {
		return nil, err
	}
	copy(short[:], end[1:]) // the missing last byte is reserved and zero
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
				// The file ends right after the copy, which is then also at its end.
				f.isCopy, f.limit = true, size
			}
			return f, nil
		}
		// A damaged footer says more than an absent one.
		if worst == nil || err.Field == "checksum" && worst.Field != "checksum" {
			worst = err
		}
	}
	if worst.Field == "checksum" {
		return nil, fmt.Errorf("the footer checksum is wrong: %w", worst)
	}
	return nil, worst
}

// Detect reports whether the size bytes in r are a VHD of any type. The cookie of a footer must be
// at the end, or at offset 0 as in a dynamic disk whose end is missing. The footer itself can be
// damaged, which [Open] reports. Detect reads at most 1024 bytes and returns false if that fails.
func Detect(r io.ReaderAt, size int64) bool {
	_, ok := Find(r, size)
	return ok
}

// Find returns the offset of the cookie that [Detect] looks for, and whether there is one. The
// cookie at the end takes precedence.
func Find(r io.ReaderAt, size int64) (off int64, ok bool) {
	for _, off := range []int64{size - footerSize, size - footerSize + 1, 0} { // as in findFooter
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
			Value: fmt.Sprintf("%q", raw[:8]), Want: fmt.Sprintf("%q", footerCookie)}
	}
	got := binary.BigEndian.Uint32(raw[offFooterSum:])
	want := checksum(raw[:], offFooterSum)
	if got == want {
		return nil
	}
	// Early XenServer tools marked a disk as hidden without updating the checksum.
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

// check refuses versions and types that this package cannot read.
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

// virtualSize returns the size of the disk in bytes: its current size, or the size of its geometry.
func (f *footer) virtualSize(byCHS bool) (int64, error) {
	if byCHS && f.chsSectors() < maxCHSSectors {
		if f.chsSectors() == 0 && f.current != 0 {
			return 0, f.sizeError(true, "a geometry of at least one sector, as it determines the size")
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

// lsbBitmaps reports whether the first sector is in the lowest bit of a bitmap byte, as in version
// 0.1 of XenServer's tools.
func (f *footer) lsbBitmaps() bool {
	return isTap(f.creatorApp) && f.creatorVer == 0x00000001
}

// sizeError returns an error for the field that gave the virtual size.
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

// isTap reports whether the creator is XenServer's tapdisk or vhd-util.
func isTap(creator string) bool { return strings.HasPrefix(creator, "tap") }

// checksum returns the ones' complement of the sum of the bytes. It counts the 32-bit checksum
// field at off as zero.
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

// versionText formats a version with the major part in the upper half, such as "1.0".
func versionText(v uint32) string { return fmt.Sprintf("%d.%d", v>>16, v&0xffff) }
