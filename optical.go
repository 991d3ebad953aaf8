package luksimg

import (
	"io"
	"strings"

	"github.com/luksimg/luksimg/image"
)

// opticalStart is the offset of the first volume descriptor of an optical disc, in bytes (ECMA-119,
// 6.2.1, and ECMA-167 2/8.3).
const opticalStart = 32 << 10

// isOptical reports whether the file is an image of an optical disc: ISO 9660, its predecessor High
// Sierra, or UDF.
func isOptical(r io.ReaderAt, size int64) bool {
	b := make([]byte, 4*4096)
	n := int(min(int64(len(b)), size-opticalStart))
	if n < 2048 {
		return false
	}
	b = b[:n]
	if _, err := image.ReadFull(r, b, opticalStart); err != nil {
		return false
	}
	at := func(off int, mark string) bool { return len(b) >= off && strings.HasPrefix(string(b[off:]), mark) }
	if at(1, "CD001\x01") || at(9, "CDROM\x01") {
		return true
	}
	// The recognition sequence of ECMA-167, 2/9, has one structure in each sector of at least 2048
	// bytes.
	for _, sector := range []int{2048, 4096} {
		if at(1, "BEA01") && (at(sector+1, "NSR02") || at(sector+1, "NSR03")) {
			return true
		}
	}
	return false
}
