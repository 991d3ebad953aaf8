package vmdk

import (
	"encoding/binary"

	"github.com/luksimg/luksimg/internal/disk"
)

// pageSize is the number of bytes of a grain table that are read and cached at a time.
const pageSize = 4096

// page returns the page of a sparse extent's file that contains a table entry.
func (d *Disk) page(x *extent, at int64) (*disk.Page, error) {
	return d.pages.Page(&x.file, x.sparse.fileSize, at)
}

// locateSparse returns the run at pos of a sparse extent, which ends at end or before. It takes one
// step per directory entry without a table, and reads at most one page of a table.
func (d *Disk) locateSparse(x *extent, pos, end int64) (disk.Run, error) {
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
		return disk.Run{N: end - pos}, nil
	}
	if i < last {
		end = (i + 1) << span
	}
	index := func(pos int64) int64 { return pos >> s.grainBits & (1<<s.tableBits - 1) }
	p, err := d.page(x, table+4*index(pos))
	if err != nil {
		return disk.Run{}, err
	}
	if p.Zero { // no grains in the rest of the page
		next := pos>>s.grainBits + (p.Off+int64(len(p.B))-table)/4 - index(pos)
		return disk.Run{N: min(next<<s.grainBits, end) - pos}, nil
	}
	r, err := x.decode(p, table+4*index(pos), pos, end)
	if err != nil {
		return disk.Run{}, err
	}
	for pos+r.N < end && r.Kind != disk.Packed {
		at := table + 4*index(pos+r.N)
		if at-p.Off+4 > int64(len(p.B)) {
			break
		}
		more, err := x.decode(p, at, pos+r.N, end)
		if err != nil || !r.Joins(more) {
			break
		}
		r.N += more.N
	}
	return r, nil
}

// Grain table entries that are not sector numbers (section "Grain Table").
const (
	entryNone = 0 // no grain: the parent's data, or zeros
	entryZero = 1 // zeros, if flagZeroGrain is set
)

// decode returns the run at pos of the extent that the entry at offset at of its file describes.
func (x *extent) decode(p *disk.Page, at, pos, end int64) (disk.Run, error) {
	s := x.sparse
	e := binary.LittleEndian.Uint32(p.B[at-p.Off:])
	grain := int64(1) << s.grainBits
	within := pos & (grain - 1)
	r := disk.Run{N: min(grain-within, end-pos)}
	switch {
	case e == entryNone:
		return r, nil
	case e == entryZero && s.flags&flagZeroGrain != 0:
		r.Kind = disk.Hole
		return r, nil
	}
	// The file must have the guest-visible part of the last grain.
	need := min(grain, x.size-(pos-within))
	sectors := (need + sectorSize - 1) / sectorSize
	r.Kind, r.File, r.Host = disk.Data, &x.file, int64(e)*sectorSize+within
	if s.compressed {
		r.Kind, r.File, r.Host = disk.Packed, &x.file, int64(e)*sectorSize
		r.Key, r.Within, r.UnitSize = uint64(x.start+pos-within), within, grain
		need, sectors = 1, 1
	}
	if int64(e)*sectorSize > s.fileSize-need {
		return r, fieldError(at, "grain table entry", e, "a grain inside the file of %d sectors", s.fileSize/sectorSize)
	}
	if what := s.inMetadata(int64(e), sectors); what != "" {
		return r, fieldError(at, "grain table entry", e, "a grain that does not overlap %s", what)
	}
	return r, nil
}
