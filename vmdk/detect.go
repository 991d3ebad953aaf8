package vmdk

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// probeBytes is the number of bytes that identify the kind of a file.
const probeBytes = 4096

const (
	magicSparse = "KDMV"
	magicCOWD   = "COWD"

	// magicSESparse starts a space-efficient sparse extent: 0xcafebabe, 8 bytes.
	magicSESparse = "\xbe\xba\xfe\xca\x00\x00\x00\x00"
)

// A fileKind is the kind of a file according to its first bytes.
type fileKind uint8

const (
	fileUnknown fileKind = iota
	fileSparse
	fileDescriptor
	fileCOWD
	fileSESparse
)

func probe(start []byte) fileKind {
	switch {
	case bytes.HasPrefix(start, []byte(magicSparse)):
		return fileSparse
	case bytes.HasPrefix(start, []byte(magicCOWD)):
		return fileCOWD
	case bytes.HasPrefix(start, []byte(magicSESparse)):
		return fileSESparse
	case startsAsText(start):
		return fileDescriptor
	}
	return fileUnknown
}

// startsAsText reports whether a file starts like a descriptor. The first line that is neither
// empty nor a comment must give the version, or the first comment must be the title. Descriptors
// have no magic number.
func startsAsText(start []byte) bool {
	const title = "# disk descriptorfile"
	start = bytes.TrimPrefix(start, []byte(byteOrderMark))
	if len(start) >= len(title) && strings.EqualFold(string(start[:len(title)]), title) {
		return true
	}
	for len(start) > 0 {
		line, rest, _ := bytes.Cut(start, []byte("\n"))
		start = rest
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(string(line), "=")
		value = unquote(strings.TrimSpace(value))
		return ok && strings.EqualFold(strings.TrimSpace(key), "version") && len(value) == 1 && value[0] >= '1' && value[0] <= '9'
	}
	return false
}

// notRead returns the error for a file that is neither a descriptor nor a sparse extent.
func notRead(kind fileKind, start []byte) error {
	switch kind {
	case fileCOWD:
		return unsupported("a VMFS sparse (COWD) extent of an ESX server")
	case fileSESparse:
		return unsupported("a space-efficient sparse (SESPARSE) extent of an ESX server")
	}
	if len(start) < len(magicSparse) {
		return fieldError(0, "file size", len(start), "at least %d bytes", sectorSize)
	}
	return fieldError(0, "magicNumber", fmt.Sprintf("%q", start[:4]), "%q, or the text of a descriptor", magicSparse)
}

// Detect reports whether the size bytes in r start like a VMDK: a sparse file of any kind and
// version, or a descriptor. It reads at most 4096 bytes and returns false if that fails.
func Detect(r io.ReaderAt, size int64) bool {
	start := make([]byte, min(max(size, 0), probeBytes))
	_, err := readFull(r, start, 0)
	return err == nil && probe(start) != fileUnknown
}
