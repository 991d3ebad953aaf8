package vmdk

import (
	"math"
	"strconv"
	"strings"
)

// maxSectors is the maximum size of a disk: its size in bytes must fit an int64.
const maxSectors = math.MaxInt64 / sectorSize

// An extentType says how the data of an extent is stored.
type extentType uint8

const (
	typeZero   extentType = iota // zeros, without a file
	typeFlat                     // raw bytes
	typeSparse                   // grains of a sparse file
)

var extentTypes = map[string]extentType{"ZERO": typeZero, "FLAT": typeFlat, "VMFS": typeFlat, "SPARSE": typeSparse}

// otherTypes lists the types of extents that this package cannot read.
var otherTypes = map[string]string{
	"VMFSSPARSE": "a VMFS sparse (COWD) extent of an ESX server",
	"SESPARSE":   "a space-efficient sparse extent of an ESX server",
	"VMFSRDM":    "an extent on a device of the host",
	"VMFSRAW":    "an extent on a device of the host",
}

const accessNone = "NOACCESS"

// extentAccess lists the words that start an extent line.
var extentAccess = map[string]bool{"RW": true, "RDONLY": true, accessNone: true}

// An extentLine is a line of a descriptor that describes an extent, such as
//
//	RW 4192256 SPARSE "disk-s001.vmdk"
//	RW 8388608 FLAT "disk-flat.vmdk" 0
type extentLine struct {
	at      int64 // offset of the line, bytes
	access  string
	sectors int64
	typ     string // as in the line
	kind    extentType
	name    string
	offset  int64 // offset of flat data in the file, sectors
}

// parseExtent parses a line. ok reports whether it starts like an extent line.
func parseExtent(line string, at int64) (x extentLine, ok bool, err error) {
	x.at = at
	var rest string
	x.access, rest = word(line)
	if !extentAccess[x.access] {
		return x, false, nil
	}
	var size string
	size, rest = word(rest)
	if x.sectors, err = parseSectors(size); err != nil || x.sectors == 0 {
		return x, true, lineError(at, "extent size", size, "a number of sectors from 1 to %d", int64(maxSectors))
	}
	x.typ, rest = word(rest)
	if what := otherTypes[x.typ]; what != "" {
		return x, true, unsupported("%s (%s)", what, x.typ)
	}
	if x.kind, ok = extentTypes[x.typ]; !ok {
		return x, true, lineError(at, "extent type", x.typ, "FLAT, SPARSE, ZERO or VMFS")
	}
	if x.kind == typeZero {
		return x, true, nil
	}
	name, rest, ok := quoted(rest)
	if !ok || name == "" {
		return x, true, lineError(at, "extent file", line, "the name of a file in double quotes")
	}
	x.name = name
	// Anything after the offset concerns partitions and devices of the host.
	if offset, _ := word(rest); offset != "" {
		if x.offset, err = parseSectors(offset); err != nil || x.offset > maxSectors-x.sectors {
			return x, true, lineError(at, "extent offset", offset, "a number of sectors that, added to the size, is at most %d", int64(maxSectors))
		}
	}
	if x.kind == typeSparse && x.offset != 0 {
		return x, true, lineError(at, "extent offset", strconv.FormatInt(x.offset, 10), "no offset or 0, as the extent is sparse")
	}
	return x, true, nil
}

// word splits the first word off a line.
func word(s string) (first, rest string) {
	s = strings.TrimLeft(s, " \t")
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// quoted splits a quoted string off the start of a line.
func quoted(s string) (name, rest string, ok bool) {
	s, ok = strings.CutPrefix(strings.TrimLeft(s, " \t"), `"`)
	if !ok {
		return "", "", false
	}
	name, rest, ok = strings.Cut(s, `"`)
	return name, rest, ok
}

// parseSectors parses a decimal number of sectors, without a sign.
func parseSectors(s string) (int64, error) {
	v, err := strconv.ParseUint(s, 10, 63)
	if err == nil && v > maxSectors {
		err = strconv.ErrRange
	}
	return int64(v), err
}

// String returns the line.
func (x extentLine) String() string {
	s := x.access + " " + strconv.FormatInt(x.sectors, 10) + " " + x.typ
	if x.kind == typeZero {
		return s
	}
	return s + ` "` + x.name + `" ` + strconv.FormatInt(x.offset, 10)
}
