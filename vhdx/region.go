package vhdx

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	guids "github.com/luksimg/luksimg/internal/guid"
)

const (
	regionMagic     = "regi"
	regionTableSize = 64 << 10
	tableEntrySize  = 32
	maxEntries      = 2047 // in a region table or a metadata table

	offEntryCount = 8
	regionEntries = 16 // offset of the entries
)

var (
	batGUID      = guids.Must("2dc27766-f623-4200-9d64-115e9bfd4a08")
	metadataGUID = guids.Must("8b7ca206-4790-4b9a-b8fe-575f050f886e")
)

// A span is a part of the file that a structure occupies.
type span struct {
	off, length int64
	what        string
}

func (s span) end() int64 { return s.off + s.length }

// regions holds the regions of a file, and all parts of the file used other than by blocks.
type regions struct {
	bat, metadata span
	used          []span // the header section, the log and all regions, in order and without overlaps
	warnings      []string
}

// overlaps returns a used part of the file that the n bytes at off overlap, if any.
func (g *regions) overlaps(off, n int64) (span, bool) {
	i, _ := slices.BinarySearchFunc(g.used, off, func(s span, off int64) int { return cmp.Compare(s.end(), off+1) })
	if i < len(g.used) && g.used[i].off < off+n {
		return g.used[i], true
	}
	return span{}, false
}

// readRegions reads the region table (section 2.2.3) of a file after the replay of its log.
func readRegions(r io.ReaderAt, size int64, h *header) (*regions, error) {
	g := &regions{}
	a, bad1, err := readRegionTable(r, region1Offset)
	if err != nil {
		return nil, err
	}
	b, bad2, err := readRegionTable(r, region2Offset)
	if err != nil {
		return nil, err
	}
	table, at := a, int64(region1Offset)
	switch {
	case bad1 != nil && bad2 != nil:
		return nil, bad1
	case bad1 != nil:
		table, at = b, region2Offset
		fallthrough
	case bad2 != nil:
		g.warnings = append(g.warnings, "one of the two region tables is damaged; the other was used")
	case string(a) != string(b):
		g.warnings = append(g.warnings, "the two region tables differ; the first was used")
	}
	if err := g.parse(table, at, size); err != nil {
		return nil, err
	}
	g.used = append(g.used, span{0, headerEnd, "the header section"})
	if h.logLength > 0 {
		g.used = append(g.used, span{h.logOffset, h.logLength, "the log"})
	}
	return g, g.checkOverlap(at)
}

// readRegionTable reads a region table. bad says why it is damaged, if it is.
func readRegionTable(r io.ReaderAt, off int64) (b []byte, bad, err error) {
	b = make([]byte, regionTableSize)
	if _, err := readFull(r, b, off); err != nil {
		return nil, nil, err
	}
	if string(b[:4]) != regionMagic {
		return b, fieldError(off, "region table signature", fmt.Sprintf("%q", b[:4]), "%q, or an intact table at offset %d", regionMagic, region2Offset), nil
	}
	if got, want := binary.LittleEndian.Uint32(b[offChecksum:]), checksum(b); got != want {
		return b, fieldError(off+offChecksum, "region table checksum", fmt.Sprintf("%#x", got), "%#x, or an intact table at offset %d", want, region2Offset), nil
	}
	return b, nil, nil
}

func (g *regions) parse(b []byte, at, size int64) error {
	le := binary.LittleEndian
	n := le.Uint32(b[offEntryCount:])
	if n > maxEntries {
		return fieldError(at+offEntryCount, "region table EntryCount", n, "at most %d", maxEntries)
	}
	seen := make(map[guid]bool, n)
	for i := range int64(n) {
		off := at + regionEntries + i*tableEntrySize
		e := b[off-at:][:tableEntrySize]
		id := guid(e[:16])
		s := span{clampInt64(le.Uint64(e[16:])), int64(le.Uint32(e[24:])), fmt.Sprintf("region %s", id)}
		fail := func(at int64, field string, value any, want string, args ...any) error {
			return fieldError(off+at, fmt.Sprintf("region table entry %d %s", i, field), value, want, args...)
		}
		if seen[id] {
			return fail(0, "Guid", id, "a region that occurs only once")
		}
		seen[id] = true
		switch id {
		case batGUID:
			s.what = "the block allocation table"
		case metadataGUID:
			s.what = "the metadata region"
		default:
			if le.Uint32(e[28:])&1 != 0 {
				return unsupported("unknown required region %s at offset %d of the file", id, off)
			}
		}
		switch {
		case s.off%mib != 0 || s.off < headerEnd:
			return fail(16, "FileOffset", s.off, "a multiple of 1 MiB, at least 1 MiB")
		case s.length%mib != 0:
			return fail(24, "Length", s.length, "a multiple of 1 MiB")
		case s.length > size || s.off > size-s.length:
			return fail(16, "FileOffset", s.off, "an offset with %d bytes inside the file of %d bytes", s.length, size)
		}
		switch {
		case id == batGUID:
			g.bat = s
		case id == metadataGUID && s.length == 0:
			return fail(24, "Length", s.length, "at least 1 MiB for the metadata region")
		case id == metadataGUID:
			g.metadata = s
		}
		if s.length > 0 {
			g.used = append(g.used, s)
		}
	}
	for _, id := range []guid{batGUID, metadataGUID} {
		if !seen[id] {
			return fieldError(at+offEntryCount, "region table", fmt.Sprintf("%d entries", n), "an entry for the region %s", id)
		}
	}
	return nil
}

// checkOverlap sorts the used parts of the file and checks that they do not overlap.
func (g *regions) checkOverlap(at int64) error {
	slices.SortFunc(g.used, func(a, b span) int { return cmp.Compare(a.off, b.off) })
	for i := 1; i < len(g.used); i++ {
		a, b := g.used[i-1], g.used[i]
		if b.off < a.end() {
			return fieldError(at, "region table", fmt.Sprintf("%s at %d to %d", b.what, b.off, b.end()),
				"a region that does not overlap %s at %d to %d", a.what, a.off, a.end())
		}
	}
	return nil
}
