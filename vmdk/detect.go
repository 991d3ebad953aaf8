package vmdk

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// probeBytes is how much of a file is looked at to tell what it is.
const probeBytes = 4096

const (
	magicSparse = "KDMV"
	magicCOWD   = "COWD"

	// magicSESparse starts a space-efficient sparse extent: 0xcafebabe, 8 bytes.
	magicSESparse = "\xbe\xba\xfe\xca\x00\x00\x00\x00"
)

// A fileKind is what a file is by its first bytes.
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

// startsAsText tells a descriptor: its first line that is neither empty nor a comment
// gives the version, or its first comment says what it is. The format has no magic
// number for it.
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

// notRead is the error for a file that is no descriptor and no sparse extent.
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

// Detect reports whether the size bytes in r start as a VMDK does: a sparse file, of
// any kind and version, or a descriptor. It reads 4096 bytes at most; what cannot be
// read is no VMDK.
func Detect(r io.ReaderAt, size int64) bool {
	start := make([]byte, min(max(size, 0), probeBytes))
	_, err := readFull(r, start, 0)
	return err == nil && probe(start) != fileUnknown
}
