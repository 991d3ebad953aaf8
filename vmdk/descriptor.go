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

// A descriptor is the text that describes a disk (section "The Descriptor File"),
// checked.
type descriptor struct {
	version     string
	encoding    string
	charset     charset
	cid         uint32
	hasCID      bool
	parentCID   uint32 // noParent without one
	parentHint  string
	createType  string
	adapterType string
	hwVersion   string
	extents     []extentLine
	warnings    []string

	sectors      int64 // of all extents
	parentHintAt int64 // where the line of parentHint is
}

// lineError is about a line of a descriptor that starts at offset at of its file.
func lineError(at int64, field, value, want string, args ...any) error {
	return fieldError(at, "descriptor "+field, quote(value), want, args...)
}

// quote writes text of a descriptor as part of a message.
func quote(s string) string {
	const most = 100
	if len(s) > most {
		return fmt.Sprintf("%q...", s[:most])
	}
	return fmt.Sprintf("%q", s)
}

// parseDescriptor parses a text that is at off of its file, in the encoding that it
// says. It ends with the first
// NUL: QEMU writes some after a descriptor that is a file of its own, too, and may
// leave the end of a longer text behind them.
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

// checkRest checks that what follows a descriptor, at off of its file, are not more of
// its extents, which would be the rest of the disk if the NUL were damage.
func checkRest(rest []byte, off int64) error {
	for line := range bytes.Lines(rest) {
		text := strings.Trim(string(line), "\x00 \t\r\n")
		if first, _ := word(text); extentAccess[first] {
			return lineError(off, "line", text, "no extents after a NUL")
		}
		off += int64(len(line))
	}
	return nil
}

// addExtent takes an extent if the disk does not become too large.
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

// parseEntry takes a line "key = value", where the value may be in quotes. Keys do
// not depend on case.
func (d *descriptor) parseEntry(line string, at int64, seen map[string]string) error {
	key, value, ok := strings.Cut(line, "=")
	if !ok {
		return lineError(at, "line", line, "an extent, or a key and a value with = in between")
	}
	name := strings.TrimSpace(key)
	key, value = strings.ToLower(name), unquote(strings.TrimSpace(value))
	// The rest of an encrypted descriptor is inside such an entry.
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
	// Programs differ in whether the first or the last one is what counts.
	if first, again := seen[key]; again && first != value {
		return lineError(at, name, value, "the same value as before, %s", quote(first))
	}
	seen[key] = value
	return nil
}

// unquote takes the quotes off a value.
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

// hostTypes are the createTypes of disks whose data are on a device of the host.
var hostTypes = map[string]bool{"fulldevice": true, "partitioneddevice": true, "vmfsrdm": true, "vmfsrdmp": true, "vmfsraw": true,
	"vmfsrawdevicemap": true, "vmfspassthroughrawdevicemap": true}

// check checks the descriptor as a whole; it ends at offset end.
func (d *descriptor) check(end int64) error {
	switch v, err := strconv.ParseUint(d.version, 10, 32); {
	case d.version == "":
		return lineError(end, "version", "", "a version: there is none in the descriptor")
	case err != nil || v == 0:
		return lineError(end, "version", d.version, "a number from 1 to 4")
	case v > 4:
		return unsupported("a descriptor of version %d; versions 1 to 4 are read", v)
	}
	if hostTypes[strings.ToLower(d.createType)] {
		return unsupported("a disk of type %s, whose data are on a device of the host", quote(d.createType))
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
