package vmdk

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

const (
	maxDescriptor = 1 << 20 // bytes
	maxLines      = 40_000
	maxExtents    = 10_000

	noParent = 0xffffffff // parentCID of a disk without a parent
)

// A descriptor is a checked disk descriptor (section "The Descriptor File").
type descriptor struct {
	version     string
	encoding    string
	charset     charset
	cid         uint32
	hasCID      bool
	parentCID   uint32 // noParent if there is none
	parentHint  string
	createType  string
	adapterType string
	hwVersion   string
	extents     []extentLine
	warnings    []string

	sectors      int64 // of all extents
	parentHintAt int64 // offset of the line of parentHint
}

// lineError returns an error for a line of a descriptor. at is the offset of the line in its file.
func lineError(at int64, field, value, want string, args ...any) error {
	return fieldError(at, "descriptor "+field, quote(value), want, args...)
}

// quote quotes text of a descriptor for a message.
func quote(s string) string {
	const most = 100
	if len(s) > most {
		return fmt.Sprintf("%q...", s[:most])
	}
	return fmt.Sprintf("%q", s)
}

// parseDescriptor parses a descriptor at off of its file, in the encoding that it gives. The
// descriptor ends at the first NUL. QEMU writes NULs even after a descriptor in its own file, and
// can leave the end of a longer text after them.
func parseDescriptor(text []byte, off int64) (*descriptor, error) {
	d := &descriptor{parentCID: noParent}
	whole := text
	text, rest, _ := bytes.Cut(text, []byte{0})
	if off == 0 {
		if err := checkRest(rest, int64(len(whole)-len(rest))); err != nil {
			return nil, err
		}
	}
	d.charset = charsetOf(text)
	if after, ok := bytes.CutPrefix(text, []byte(byteOrderMark)); ok {
		text, off = after, off+int64(len(byteOrderMark))
	}
	seen := map[string]string{}
	for lines := 0; len(text) > 0; lines++ {
		if lines == maxLines {
			return nil, lineError(off, "line", "", "at most %d lines", maxLines)
		}
		raw, rest, _ := bytes.Cut(text, []byte("\n"))
		at := off
		off += int64(len(text) - len(rest))
		text = rest
		line := strings.TrimSpace(d.charset.decode(raw))
		if line == "" || line[0] == '#' {
			continue
		}
		if x, ok, err := parseExtent(line, at); err != nil {
			return nil, err
		} else if ok {
			if err := d.addExtent(x); err != nil {
				return nil, err
			}
			continue
		}
		if err := d.parseEntry(line, at, seen); err != nil {
			return nil, err
		}
	}
	return d, d.check(off)
}

// checkRest checks that no extent lines follow a descriptor at off of its file. They would be the
// rest of the disk if the NUL were damage.
func checkRest(rest []byte, off int64) error {
	for line := range bytes.Lines(rest) {
		text := strings.Trim(string(line), "\x00 \t\r\n")
		if first, _ := word(text); extentAccess[first] {
			return lineError(off, "line", text, "no extent after a NUL")
		}
		off += int64(len(line))
	}
	return nil
}

// addExtent adds an extent. It returns an error if the disk becomes too large.
func (d *descriptor) addExtent(x extentLine) error {
	if len(d.extents) == maxExtents {
		return lineError(x.at, "extent", x.typ, "at most %d extents", maxExtents)
	}
	if x.sectors > maxSectors-d.sectors {
		return lineError(x.at, "extent size", strconv.FormatInt(x.sectors, 10), "a disk of at most %d sectors in all", int64(maxSectors))
	}
	d.sectors += x.sectors
	d.extents = append(d.extents, x)
	return nil
}

// parseEntry parses a line "key = value". The value can be in quotes; the case of keys is ignored.
func (d *descriptor) parseEntry(line string, at int64, seen map[string]string) error {
	key, value, ok := strings.Cut(line, "=")
	if !ok {
		return lineError(at, "line", line, "an extent, or key = value")
	}
	name := strings.TrimSpace(key)
	key, value = strings.ToLower(name), unquote(strings.TrimSpace(value))
	// An entry with this prefix holds the rest of an encrypted descriptor.
	if strings.HasPrefix(key, "encryption.") {
		return unsupported("the disk is encrypted by VMware (%s)", quote(name))
	}
	var err error
	to := map[string]*string{
		"version": &d.version, "encoding": &d.encoding, "createtype": &d.createType, "parentfilenamehint": &d.parentHint,
		"ddb.adaptertype": &d.adapterType, "ddb.virtualhwversion": &d.hwVersion,
	}[key]
	switch {
	case to != nil:
		*to = value
		if to == &d.parentHint {
			d.parentHintAt = at
		}
	case key == "cid":
		d.hasCID = true
		d.cid, err = parseCID(at, name, value)
	case key == "parentcid":
		d.parentCID, err = parseCID(at, name, value)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	// Some programs use the first value of a key, some the last.
	if first, again := seen[key]; again && first != value {
		return lineError(at, name, value, "the same value as before, %s", quote(first))
	}
	seen[key] = value
	return nil
}

// unquote removes the quotes from a value.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

func parseCID(at int64, name, value string) (uint32, error) {
	v, err := strconv.ParseUint(value, 16, 32)
	if err != nil {
		return 0, lineError(at, name, value, "a hexadecimal number of 32 bits")
	}
	return uint32(v), nil
}

// hostTypes lists the createTypes of disks whose data is on a device of the host.
var hostTypes = map[string]bool{"fulldevice": true, "partitioneddevice": true, "vmfsrdm": true, "vmfsrdmp": true, "vmfsraw": true,
	"vmfsrawdevicemap": true, "vmfspassthroughrawdevicemap": true}

// check checks the whole descriptor, which ends at offset end.
func (d *descriptor) check(end int64) error {
	switch v, err := strconv.ParseUint(d.version, 10, 32); {
	case d.version == "":
		return lineError(end, "version", "", "a version in the descriptor")
	case err != nil || v == 0:
		return lineError(end, "version", d.version, "a number from 1 to 4")
	case v > 4:
		return unsupported("descriptor version %d, want 1 to 4", v)
	}
	if hostTypes[strings.ToLower(d.createType)] {
		return unsupported("a disk of type %s, whose data is on a device of the host", quote(d.createType))
	}
	if len(d.extents) == 0 {
		return lineError(end, "extent", "", "at least one extent")
	}
	if d.createType == "" {
		d.warnings = append(d.warnings, "the descriptor has no createType")
	}
	if !d.hasCID {
		d.warnings = append(d.warnings, "the descriptor has no CID")
	}
	if d.parentHint != "" && d.parentCID == noParent {
		d.warnings = append(d.warnings, fmt.Sprintf("the descriptor names a parent, %s, but has no parentCID: the disk is read without a parent", quote(d.parentHint)))
	}
	return nil
}
