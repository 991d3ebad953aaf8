package xz

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
)

const (
	headerSize = 12 // size of a stream header and of a stream footer
	maxVLI     = 1<<63 - 1

	minUnpadded = 5
	maxUnpadded = maxVLI &^ 3
)

var (
	headMagic = []byte{0xfd, '7', 'z', 'X', 'Z', 0}
	footMagic = []byte{'Y', 'Z'}
	lzmaMagic = []byte{0x5d, 0, 0} // most .lzma files begin with this
)

// parseHeader parses a stream header (section 2.1.1) at byte at of the file.
func parseHeader(b []byte, at int64) (check, error) {
	switch {
	case bytes.HasPrefix(b, lzmaMagic):
		return 0, unsupported("it begins like a .lzma file, which has no index and no check: recompress it by xz")
	case bytes.HasPrefix(b, []byte("LZIP")):
		return 0, unsupported("it is an lzip file")
	case len(b) < headerSize || !bytes.HasPrefix(b, headMagic):
		return 0, corrupt("no stream header at byte %d", at)
	case crc32.ChecksumIEEE(b[6:8]) != binary.LittleEndian.Uint32(b[8:]):
		return 0, corrupt("CRC32 of the stream header at byte %d is wrong", at)
	}
	return parseFlags(b[6:8], at+6)
}

// parseFlags parses stream flags (section 2.1.1.2) at byte at of the file.
func parseFlags(b []byte, at int64) (check, error) {
	c := check(b[1])
	if b[0] != 0 || c > 15 {
		return 0, unsupported("unknown stream flags %#02x %#02x at byte %d", b[0], b[1], at)
	}
	if !c.known() {
		return 0, unsupported("unknown check %d at byte %d", c, at)
	}
	return c, nil
}

// parseFooter parses a stream footer (section 2.1.2) at byte at of the file, and returns the size of
// the preceding index.
func parseFooter(b []byte, at int64) (c check, backward int64, err error) {
	if !bytes.Equal(b[10:], footMagic) {
		return 0, 0, corrupt("no stream footer at byte %d: the file is truncated, or other data follows it", at)
	}
	if crc32.ChecksumIEEE(b[4:10]) != binary.LittleEndian.Uint32(b) {
		return 0, 0, corrupt("CRC32 of the stream footer at byte %d is wrong", at)
	}
	c, err = parseFlags(b[8:10], at+8)
	return c, (int64(binary.LittleEndian.Uint32(b[4:])) + 1) * 4, err
}

// readVLI reads a variable-length integer (section 1.2).
func readVLI(r io.ByteReader, field string) (int64, error) {
	var v int64
	for i := 0; ; i++ {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		v |= int64(b&0x7f) << (7 * i)
		if b&0x80 == 0 {
			if b == 0 && i > 0 {
				return 0, corrupt("%s has a non-minimal encoding", field)
			}
			return v, nil
		}
		if i == 8 {
			return 0, corrupt("%s is longer than 9 bytes", field)
		}
	}
}

// pad returns the number of padding bytes from n to a multiple of 4.
func pad(n int64) int64 { return -n & 3 }

// zero reports whether b is all zeros.
func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// early turns an unexpected end of the file into an ErrCorrupt, and returns other errors unchanged.
func early(err error, what string, at int64) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return corrupt("the file ends in %s that begins at byte %d", what, at)
	}
	return err
}
