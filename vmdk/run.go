package vmdk

import (
	"sort"

	"github.com/luksimg/luksimg/internal/disk"
)

// locate returns the run at pos of the disk, which ends at end or before, and within one extent.
func (d *Disk) locate(pos, end int64) (disk.Run, error) {
	x := d.extentAt(pos)
	end = min(end, x.start+x.size)
	switch x.line.kind {
	case typeZero:
		return disk.Run{Kind: disk.Hole, N: end - pos}, nil
	case typeFlat:
		return disk.Run{Kind: disk.Data, N: end - pos, File: &x.file, Host: x.line.offset*sectorSize + pos - x.start}, nil
	}
	r, err := d.locateSparse(x, pos-x.start, end-x.start)
	return r, x.wrap(err)
}

// extentAt returns the extent that contains pos of the disk.
func (d *Disk) extentAt(pos int64) *extent {
	if len(d.extents) == 1 {
		return d.extents[0]
	}
	return d.extents[sort.Search(len(d.extents), func(i int) bool { return d.extents[i].start > pos })-1]
}
