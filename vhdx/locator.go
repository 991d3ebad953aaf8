package vhdx

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	guids "github.com/luksimg/luksimg/internal/guid"
)

const (
	locatorHeader = 20
	locatorEntry  = 12
	offKeyCount   = 18

	// maxKeys limits the time that parsing takes. Five keys are known.
	maxKeys = 256
)

// vhdxLocatorGUID is the only type of parent locator in the specification.
var vhdxLocatorGUID = guids.Must("b04aefb7-d19e-4a81-b789-25b8e9445913")

// A locator holds the paths of the parent of a differencing disk (section 2.6.2.6).
type locator struct {
	off      int64 // offset in the file
	relative string
	volume   string
	absolute string
	linkage  []guid // the DataWriteGuid of the parent is one of these
}

// names returns the existing paths in the order in which the specification tries them.
func (l *locator) names() []string {
	return slices.DeleteFunc([]string{l.relative, l.volume, l.absolute}, func(s string) bool { return s == "" })
}

func parseLocator(b []byte, at int64) (*locator, error) {
	le := binary.LittleEndian
	if len(b) < locatorHeader {
		return nil, fieldError(at, "ParentLocator", fmt.Sprintf("%d bytes", len(b)), "at least %d", locatorHeader)
	}
	if kind := guid(b[:16]); kind != vhdxLocatorGUID {
		return nil, unsupported("parent locator type %s at offset %d, want %s", kind, at, vhdxLocatorGUID)
	}
	n := int(le.Uint16(b[offKeyCount:]))
	if n > maxKeys || n > (len(b)-locatorHeader)/locatorEntry {
		return nil, fieldError(at+offKeyCount, "ParentLocator KeyValueCount", n,
			"at most %d, with all entries inside the item of %d bytes", maxKeys, len(b))
	}
	l := &locator{off: at}
	seen := make(map[string]bool, n)
	for i := range n {
		in := locatorHeader + i*locatorEntry
		e := b[in:][:locatorEntry]
		text := func(field string, off uint32, size uint16) (string, error) {
			length := int(size)
			fail := func(want string, args ...any) error {
				return fieldError(at+int64(in), fmt.Sprintf("ParentLocator entry %d %s", i, field),
					fmt.Sprintf("%d bytes at %d", length, off), want, args...)
			}
			if length == 0 || length%2 != 0 {
				return "", fail("nonempty UTF-16 text")
			}
			if off < locatorHeader || int64(off) > int64(len(b)-length) {
				return "", fail("text inside the item of %d bytes", len(b))
			}
			raw := b[off:][:length]
			for k := 0; k < len(raw); k += 2 {
				if bytes.Equal(raw[k:][:2], []byte{0, 0}) {
					return "", fail("text without a NUL")
				}
			}
			return utf16Text(raw), nil
		}
		key, err := text("key", le.Uint32(e), le.Uint16(e[8:]))
		if err != nil {
			return nil, err
		}
		if seen[key] {
			return nil, fieldError(at+int64(in), fmt.Sprintf("ParentLocator entry %d key", i), fmt.Sprintf("%q", key), "a key that occurs only once")
		}
		seen[key] = true
		value, err := text("value", le.Uint32(e[4:]), le.Uint16(e[10:]))
		if err != nil {
			return nil, err
		}
		if err := l.set(key, value, at+int64(in)); err != nil {
			return nil, err
		}
	}
	if !seen["parent_linkage"] {
		return nil, fieldError(at, "ParentLocator", fmt.Sprintf("%d entries", n), "an entry with key parent_linkage")
	}
	if len(l.names()) == 0 {
		return nil, fieldError(at, "ParentLocator", fmt.Sprintf("%d entries", n), "an entry with key relative_path, volume_path or absolute_win32_path")
	}
	return l, nil
}

// set stores a key and its value, whose entry is at offset at. It ignores unknown keys.
func (l *locator) set(key, value string, at int64) error {
	switch key {
	case "parent_linkage", "parent_linkage2":
		g, ok := guids.Parse(value)
		if !ok {
			return fieldError(at, "ParentLocator "+key, fmt.Sprintf("%q", value), "a GUID")
		}
		l.linkage = append(l.linkage, g)
		if key == "parent_linkage" { // errors and Info show this one
			l.linkage[0], l.linkage[len(l.linkage)-1] = g, l.linkage[0]
		}
	case "relative_path":
		l.relative = value
	case "volume_path":
		l.volume = value
	case "absolute_win32_path":
		l.absolute = value
	}
	return nil
}
