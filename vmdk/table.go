package vmdk

import (
	"encoding/binary"
	"sync/atomic"
)

const (
	// Grain tables are read and kept in slices of this many bytes, or whole if they
	// are smaller.
	maxSlice = 4096

	sliceSlots = 1024 // so all slices are at most 4 MiB
)

// tableCache keeps slices of grain tables, of all extents. A slice has one place
// where it may be, so that a look-up is one atomic load; what was there before is
// dropped.
type tableCache struct {
	slots [sliceSlots]atomic.Pointer[tableSlice]
}

// A tableSlice is a part of a grain table, which does not change. At the end of a
// file it may be cut short.
type tableSlice struct {
	s   *sparse
	off int64 // in the file
	b   []byte
}

// slice returns entries from i on of a grain table at off, at most so many as are in
// a slice.
func (d *Disk) slice(x *extent, off, i int64) (*tableSlice, error) {
	s := x.sparse
	size := min(int64(4)<<s.tableBits, maxSlice)
	start := off + 4*i&^(size-1)
	// Slices that are used one after the other are next to each other in most files,
	// and files one after the other: they have different slots.
	n := max(size, sectorSize)
	slot := &d.tables.slots[uint64(start/n+x.number*61)%sliceSlots]
	if c := slot.Load(); c != nil && c.s == s && c.off == start {
		return c, nil
	}
	c := &tableSlice{s, start, make([]byte, min(size, s.fileSize-start))}
	if _, err := readFull(s.r, c.b, start); err != nil {
		return nil, err
	}
	slot.Store(c)
	return c, nil
}

// locateSparse returns the run at pos of a sparse extent, up to end: with one step
// for each directory entry without a table, and at most one slice of a table.
func (d *Disk) locateSparse(x *extent, pos, end int64) (run, error) {
	s := x.sparse
	span := s.spanBits()
	i, last := pos>>span, (end-1)>>span
	table := int64(s.directory[i]) * sectorSize
	if table == 0 {
		j := i
		for j < last && s.directory[j+1] == 0 {
			j++
		}
		if j < last {
			end = (j + 1) << span
		}
		return run{kind: kindParent, n: end - pos, x: x}, nil
	}
	if i < last {
		end = (i + 1) << span
	}
	index := func(pos int64) int64 { return pos >> s.grainBits & (1<<s.tableBits - 1) }
	c, err := d.slice(x, table, index(pos))
	if err != nil {
		return run{}, err
	}
	r, err := x.decode(c, table+4*index(pos), pos, end)
	if err != nil {
		return run{}, err
	}
	for pos+r.n < end && r.kind != kindCompressed {
		at := table + 4*index(pos+r.n)
		if at-c.off >= int64(len(c.b)) {
			break
		}
		more, err := x.decode(c, at, pos+r.n, end)
		if err != nil || !r.joins(more) {
			break
		}
		r.n += more.n
	}
	return r, nil
}

// Grain table entries that are no sector (section "Grain Table").
const (
	entryNone = 0 // no grain: in the parent, or zeros
	entryZero = 1 // zeros, with flagZeroGrain
)

// decode returns the run at pos of the extent that the entry at at of its file gives.
func (x *extent) decode(c *tableSlice, at, pos, end int64) (run, error) {
	s := x.sparse
	e := binary.LittleEndian.Uint32(c.b[at-c.off:])
	grain := int64(1) << s.grainBits
	within := pos & (grain - 1)
	r := run{n: min(grain-within, end-pos), x: x}
	switch {
	case e == entryNone:
		return r, nil
	case e == entryZero && s.flags&flagZeroGrain != 0:
		r.kind = kindHole
		return r, nil
	}
	// Of the last grain the file has to have what the guest can see.
	need := min(grain, x.size-(pos-within))
	sectors := (need + sectorSize - 1) / sectorSize
	r.kind, r.host = kindData, int64(e)*sectorSize+within
	if s.compressed {
		r.kind, r.host = kindCompressed, int64(e)*sectorSize
		r.grain = pos >> s.grainBits
		need, sectors = 1, 1
	}
	if int64(e)*sectorSize > s.fileSize-need {
		return r, fieldError(at, "grain table entry", e, "a grain inside the file, which has %d sectors", s.fileSize/sectorSize)
	}
	if what := s.inMetadata(int64(e), sectors); what != "" {
		return r, fieldError(at, "grain table entry", e, "a grain past %s", what)
	}
	return r, nil
}
