// Package guid parses and formats the GUIDs in disk formats of Microsoft and VirtualBox.
package guid

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// A GUID holds the bytes as stored in a file: the first three parts are little-endian.
type GUID [16]byte

// Must parses a constant GUID. It panics if s is invalid.
func Must(s string) GUID {
	g, ok := Parse(s)
	if !ok {
		panic("not a GUID: " + s)
	}
	return g
}

// Parse parses the text form of a GUID, in upper or lower case, with or without braces.
func Parse(s string) (g GUID, ok bool) {
	if strings.HasPrefix(s, "{") && strings.HasSuffix(s, "}") {
		s = s[1 : len(s)-1]
	}
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return g, false
	}
	b, err := hex.DecodeString(s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:])
	if err != nil {
		return g, false
	}
	return FromUUID([16]byte(b)), true
}

// FromUUID returns the GUID with the same text as the UUID u, whose bytes are in the order of the
// text.
func FromUUID(u [16]byte) (g GUID) {
	be, le := binary.BigEndian, binary.LittleEndian
	le.PutUint32(g[0:], be.Uint32(u[0:]))
	le.PutUint16(g[4:], be.Uint16(u[4:]))
	le.PutUint16(g[6:], be.Uint16(u[6:]))
	copy(g[8:], u[8:])
	return g
}

// String returns the text form in lower case, without braces.
func (g GUID) String() string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(g[0:]), le.Uint16(g[4:]), le.Uint16(g[6:]), g[8:10], g[10:])
}
