package vmdk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"

	"github.com/luksimg/luksimg/image"
)

// A sparse is a sparse extent. Its grain directory refers to grain tables, which refer to grains
// (section "Hosted Sparse Extents"). It is immutable.
type sparse struct {
	*header
	r         io.ReaderAt
	directory []uint32 // sectors of the grain tables, 0 for none
	damage    error    // error of the damaged grain directory, which is not used
	second    bool     // the redundant directory is valid

	// Metadata that grains must not overlap.
	regions []region
	tables  []tableSet
}

// A region is a part of the file that metadata occupies, in sectors.
type region struct {
	first, n int64
	name     string
}

func (g region) overlaps(first, n int64) bool { return first < g.first+g.n && g.first < first+n }

// A tableSet holds the places of a directory's grain tables, which have equal lengths.
type tableSet struct {
	lo, hi int64    // all tables are between these sectors
	starts []uint32 // sorted; nil if there are no gaps between the tables
	n      int64    // length of a table in sectors
}

// overlaps reports whether a table overlaps the n sectors from first on.
func (t *tableSet) overlaps(first, n int64) bool {
	if first >= t.hi || first+n <= t.lo {
		return false
	}
	if t.starts == nil {
		return true
	}
	// Find the last table that starts before the end of the range.
	i := sort.Search(len(t.starts), func(i int) bool { return int64(t.starts[i]) >= first+n })
	return i > 0 && int64(t.starts[i-1])+t.n > first
}

// openSparse reads the header and the grain directory of a sparse extent.
func (d *Disk) openSparse(r io.ReaderAt, fileSize int64) (*sparse, error) {
	h, warnings, err := readHeader(r, fileSize)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		d.warnf("%s", w)
	}
	if d.entries += h.directoryLen(); d.entries > maxDirectory {
		return nil, unsupported("a disk with more than %d grain tables", maxDirectory)
	}
	s := &sparse{header: h, r: r}
	s.regions = []region{{0, 1, "the header"}, {h.at / sectorSize, 1, "the footer"}}
	if h.descriptorSize > 0 {
		g := region{h.descriptor / sectorSize, h.descriptorSize / sectorSize, "the descriptor"}
		if what := s.inMetadata(g.first, g.n); what != "" {
			return nil, fieldError(h.at+offDescriptor, "descriptorOffset", g.first, "a descriptor that does not overlap %s", what)
		}
		s.regions = append(s.regions, g)
	}
	return s, d.readDirectories(s)
}

// readDirectories reads the grain directory. If it is damaged, it uses the redundant one, if any.
func (d *Disk) readDirectories(s *sparse) error {
	directory, tables, err := s.readDirectory(offDirectory, "gdOffset", s.header.directory)
	var fe *image.FormatError
	if err != nil && !errors.As(err, &fe) {
		return err
	}
	if s.flags&flagRedundant == 0 {
		if err != nil {
			return err
		}
		s.use(directory, tables, s.header.directory, "the grain directory")
		return nil
	}
	other, otherTables, otherErr := s.readDirectory(offRedundant, "rgdOffset", s.redundant)
	if otherErr != nil && !errors.As(otherErr, &fe) {
		return otherErr
	}
	switch {
	case err != nil && otherErr != nil:
		return err
	case err != nil:
		s.damage = err
		d.warnf("the grain directory is damaged (%v): the redundant one was used", err)
		s.use(other, otherTables, s.redundant, "the redundant grain directory")
		return nil
	case otherErr != nil:
		s.damage = otherErr
		d.warnf("the redundant grain directory is damaged (%v): it was ignored", otherErr)
	default:
		for i := range other {
			if (other[i] == 0) != (directory[i] == 0) {
				d.warnf("the two grain directories differ from entry %d on: the first was used", i)
				break
			}
		}
	}
	s.use(directory, tables, s.header.directory, "the grain directory")
	if otherErr == nil {
		s.second = true
		s.protect(otherTables, s.redundant, "the redundant grain directory")
	}
	return nil
}

// use makes the directory at off the one to read.
func (s *sparse) use(directory []uint32, tables tableSet, off int64, name string) {
	s.directory = directory
	s.protect(tables, off, name)
}

// protect records the place of metadata.
func (s *sparse) protect(tables tableSet, off int64, name string) {
	s.regions = append(s.regions, region{off / sectorSize, s.directorySectors(), name})
	if tables.hi > 0 {
		s.tables = append(s.tables, tables)
	}
}

func (s *sparse) directorySectors() int64 { return (4*s.directoryLen() + sectorSize - 1) / sectorSize }

// readDirectory reads the grain directory at off, which a header field gives. It checks that the
// tables are in the file and overlap neither each other nor other metadata. That also bounds their
// number by the size of the file.
func (s *sparse) readDirectory(field int64, name string, off int64) ([]uint32, tableSet, error) {
	none := tableSet{}
	n := s.directoryLen()
	if off == 0 || 4*n > s.fileSize-off {
		return nil, none, fieldError(s.at+field, name, off/sectorSize, "a grain directory of %d entries inside the file of %d sectors", n, s.fileSize/sectorSize)
	}
	own := region{off / sectorSize, s.directorySectors(), "the grain directory"}
	if what := s.inMetadata(own.first, own.n); what != "" {
		return nil, none, fieldError(s.at+field, name, own.first, "a grain directory that does not overlap %s", what)
	}
	directory := make([]uint32, n)
	used := 0
	buf := make([]byte, min(4*n, 64<<10))
	for i := 0; i < len(directory); {
		b := buf[:min(len(buf), 4*(len(directory)-i))]
		if _, err := readFull(s.r, b, off+4*int64(i)); err != nil {
			return nil, none, err
		}
		for ; len(b) > 0; b = b[4:] {
			if directory[i] = binary.LittleEndian.Uint32(b); directory[i] != 0 {
				used++
			}
			i++
		}
	}
	set := tableSet{n: s.tableSectors(), starts: make([]uint32, 0, used)}
	for i, first := range directory {
		if first == 0 {
			continue
		}
		at := off + 4*int64(i)
		need := 4 * min(s.grains()-int64(i)<<s.tableBits, 1<<s.tableBits)
		if int64(first)*sectorSize > s.fileSize-need {
			return nil, none, fieldError(at, entryName(i), first, "a grain table of %d bytes inside the file of %d sectors", need, s.fileSize/sectorSize)
		}
		what := s.inMetadata(int64(first), set.n)
		if own.overlaps(int64(first), set.n) {
			what = own.name
		}
		if what != "" {
			return nil, none, fieldError(at, entryName(i), first, "a grain table that does not overlap %s", what)
		}
		set.starts = append(set.starts, first)
	}
	return directory, set, set.finish(off)
}

func entryName(i int) string { return fmt.Sprintf("grain directory entry %d", i) }

// finish checks that the tables of the directory at off do not overlap.
func (t *tableSet) finish(off int64) error {
	if len(t.starts) == 0 {
		t.starts = nil
		return nil
	}
	slices.Sort(t.starts)
	gaps := false
	for i, first := range t.starts[1:] {
		switch gap := int64(first) - int64(t.starts[i]); {
		case gap < t.n:
			return fieldError(off, "grain directory", fmt.Sprintf("two tables at sectors %d and %d", t.starts[i], first), "tables of %d sectors that do not overlap", t.n)
		case gap > t.n:
			gaps = true
		}
	}
	t.lo, t.hi = int64(t.starts[0]), int64(t.starts[len(t.starts)-1])+t.n
	if !gaps {
		t.starts = nil
	}
	return nil
}

// inMetadata returns the name of metadata that overlaps the n sectors from first on, or "".
func (s *sparse) inMetadata(first, n int64) string {
	for _, g := range s.regions {
		if g.overlaps(first, n) {
			return g.name
		}
	}
	for i := range s.tables {
		if s.tables[i].overlaps(first, n) {
			return "a grain table"
		}
	}
	return ""
}
