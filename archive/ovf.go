package archive

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strconv"
	"strings"

	"github.com/luksimg/luksimg/image"
)

const (
	// maxDescriptor bounds the length of an OVF descriptor in bytes. Descriptors that contain a
	// license have a few hundred KiB.
	maxDescriptor = 4 << 20

	maxDepth   = 64   // levels of nested elements
	maxEntries = 4096 // files, and disks
)

// An envelope holds the disks in an OVF descriptor: DMTF DSP0243, versions 1.1 and 2.1, and VMware's
// format from before the standard.
type envelope struct {
	files map[string]*ovfFile // by their IDs
	disks []ovfDisk
}

// An ovfFile is a File element of References (section 7.1).
type ovfFile struct {
	href        string
	size        int64 // bytes, -1 if missing
	compression string
	chunkSize   string
}

// An ovfDisk is a Disk element of a DiskSection (section 9.1).
type ovfDisk struct {
	id, fileRef, parentRef string
	capacity               int64 // bytes, 0 if unknown
}

// parseOVF reads a descriptor. It refuses document type definitions, and so all entities that a file
// can define.
func parseOVF(r io.Reader) (*envelope, error) {
	d := xml.NewDecoder(r)
	e := &envelope{files: map[string]*ovfFile{}}
	var path []string // the open elements, "" for those of another namespace
	space := ""       // the namespace of the envelope
	seen := false
	for {
		at := d.InputOffset()
		token, err := d.Token() // Token checks that end elements match
		switch {
		case err == io.EOF && !seen:
			return nil, ovfError(at, "root element", "missing", "Envelope")
		case err == io.EOF:
			return e, nil
		case err != nil:
			return nil, fmt.Errorf("ovf: %w: at offset %d: %w", image.ErrFormat, d.InputOffset(), err)
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, ovfError(at, "document type definition", "present", "none in an OVF descriptor")
		case xml.StartElement:
			if len(path) == maxDepth {
				return nil, ovfError(at, "depth", maxDepth+1, fmt.Sprintf("at most %d nested elements", maxDepth))
			}
			name := t.Name.Local
			switch {
			case len(path) == 0 && (seen || name != "Envelope"):
				return nil, ovfError(at, "root element", name, "one, Envelope")
			case len(path) == 0:
				seen, space = true, t.Name.Space
			case t.Name.Space != space:
				name = ""
			}
			// Before version 1.0, the type of a section was an attribute.
			if _, kind, _ := strings.Cut(attribute(t, "type"), ":"); name == "Section" && kind == "DiskSection_Type" {
				name = "DiskSection"
			}
			path = append(path, name)
			if err := e.element(at, strings.Join(path, "/"), t); err != nil {
				return nil, err
			}
		case xml.EndElement:
			path = path[:len(path)-1]
		}
	}
}

// attribute returns an OVF attribute. Files that follow the standard use a prefix.
func attribute(t xml.StartElement, name string) string {
	for _, a := range t.Attr {
		if a.Name.Local == name && (a.Name.Space == "" || strings.Contains(a.Name.Space, "ovf") || name == "type") {
			return a.Value
		}
	}
	return ""
}

// element records the content of an element.
func (e *envelope) element(at int64, path string, t xml.StartElement) error {
	get := func(name string) string { return attribute(t, name) }
	switch path {
	case "Envelope/References/File":
		f := &ovfFile{href: get("href"), size: -1, compression: get("compression"), chunkSize: get("chunkSize")}
		id := get("id")
		if size := get("size"); size != "" {
			n, err := strconv.ParseUint(size, 10, 62)
			if err != nil {
				return ovfError(at, "size of a file", size, "a number of bytes")
			}
			f.size = int64(n)
		}
		switch {
		case len(e.files) == maxEntries:
			return ovfError(at, "number of files", fmt.Sprintf("more than %d", maxEntries), "less")
		case e.files[id] != nil:
			return ovfError(at, "id of a file", id, "an ID that no earlier file has")
		}
		e.files[id] = f
	case "Envelope/DiskSection/Disk":
		c, err := capacityOf(at, get("capacity"), get("capacityAllocationUnits"))
		if err != nil {
			return err
		}
		if len(e.disks) == maxEntries {
			return ovfError(at, "number of disks", fmt.Sprintf("more than %d", maxEntries), "less")
		}
		e.disks = append(e.disks, ovfDisk{id: get("diskId"), fileRef: get("fileRef"), parentRef: get("parentRef"), capacity: c})
	}
	return nil
}

// capacityOf returns a capacity in bytes, or 0 if it is a property that is set at deployment.
func capacityOf(at int64, value, units string) (int64, error) {
	if value == "" || strings.HasPrefix(value, "${") { // a property (section 9.5)
		return 0, nil
	}
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil {
		return 0, ovfError(at, "capacity", value, "a number of bytes")
	}
	unit, ok := unitOf(units)
	if !ok {
		return 0, ovfError(at, "capacityAllocationUnits", units, `such as "byte * 2^30"`)
	}
	high, low := bits.Mul64(n, unit)
	if high != 0 || low > 1<<62 {
		return 0, ovfError(at, "capacity", value+" units of "+units, "at most 4 EiB")
	}
	return int64(low), nil
}

// unitOf parses a programmatic unit of bytes (DSP0004, annex C), or a unit name of VMware.
func unitOf(s string) (uint64, bool) {
	s = strings.ToLower(strings.Join(strings.Fields(s), ""))
	switch s {
	case "", "byte", "bytes":
		return 1, true
	case "kilobytes":
		return 1 << 10, true
	case "megabytes":
		return 1 << 20, true
	case "gigabytes":
		return 1 << 30, true
	}
	power, ok := strings.CutPrefix(s, "byte*")
	base, exponent, ok2 := strings.Cut(power, "^")
	b, err1 := strconv.ParseUint(base, 10, 8)
	x, err2 := strconv.ParseUint(exponent, 10, 8)
	if !ok || !ok2 || errors.Join(err1, err2) != nil || b != 2 && b != 10 || x > 62 {
		return 0, false
	}
	unit := uint64(1)
	for range x {
		if unit > 1<<62/b {
			return 0, false
		}
		unit *= b
	}
	return unit, true
}

// ovfError returns an error about a field of a descriptor.
func ovfError(off int64, field string, value any, want string) error {
	if s, ok := value.(string); ok && len(s) > 80 {
		value = s[:80] + "..."
	}
	return &image.FormatError{Format: "ovf", Offset: off, Field: field, Value: value, Want: want}
}
