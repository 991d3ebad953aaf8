package xz

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
)

const (
	headerSize = 12 // of a stream header and a stream footer
	maxVLI     = 1<<63 - 1

	minUnpadded = 5
	maxUnpadded = maxVLI &^ 3
)

var (
	headMagic = []byte{0xfd, '7', 'z', 'X', 'Z', 0}
	footMagic = []byte{'Y', 'Z'}
	lzmaMagic = []byte{0x5d, 0, 0} // how most .lzma files begin
)

// parseHeader reads a stream header (section 2.1.1), which is at byte at of the file.
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

// parseFlags reads stream flags (section 2.1.1.2), which are at byte at of the file.
func parseFlags(b []byte, at int64) (check, error) {
	c := check(b[1])
	if b[0] != 0 || c > 15 {
		return 0, unsupported("stream flags at byte %d are %#02x %#02x, which are not in use", at, b[0], b[1])
	}
	if !c.known() {
		return 0, unsupported("check %d at byte %d, which is not in use", c, at)
	}
	return c, nil
}

// parseFooter reads a stream footer (section 2.1.2), which is at byte at of the file, and
// returns the size of the index in front of it.
func parseFooter(b []byte, at int64) (c check, backward int64, err error) {
	if !bytes.Equal(b[10:], footMagic) {
		return 0, 0, corrupt("no stream footer at byte %d: it was cut off, or something follows it", at)
	}
	if crc32.ChecksumIEEE(b[4:10]) != binary.LittleEndian.Uint32(b) {
		return 0, 0, corrupt("CRC32 of the stream footer at byte %d is wrong", at)
	}
	c, err = parseFlags(b[8:10], at+8)
	return c, (int64(binary.LittleEndian.Uint32(b[4:])) + 1) * 4, err
}

// readVLI reads a number of variable length (section 1.2).
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
				return 0, corrupt("%s is longer than it needs to be", field)
			}
			return v, nil
		}
		if i == 8 {
			return 0, corrupt("%s is longer than 9 bytes", field)
		}
	}
}

// pad returns how many bytes follow n of them up to a multiple of 4.
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

// early returns an ErrCorrupt for the end of the file, and all other errors as they are.
func early(err error, what string, at int64) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return corrupt("the file ends in %s that begins at byte %d", what, at)
	}
	return err
}
