package vmdk

import "sort"

// A kind is how bytes of the disk are stored.
type kind uint8

const (
	kindParent     kind = iota // not here: in the parent, or zeros
	kindHole                   // zeros, without room in a file
	kindData                   // as they are
	kindCompressed             // in a compressed grain
)

// A run is bytes of the disk that are stored alike and, for data, one after the
// other.
type run struct {
	kind  kind
	n     int64   // bytes
	x     *extent // that they are in
	host  int64   // of data, or of a compressed grain: the offset in the file
	grain int64   // of a compressed grain: its number
}

// joins reports whether next, which follows r in the disk, belongs to it.
func (r *run) joins(next run) bool {
	switch r.kind {
	case kindCompressed:
		return false
	case kindData:
		return next.kind == kindData && r.x == next.x && r.host+r.n == next.host
	}
	return r.kind == next.kind
}

// next returns the run at pos of the disk, up to end. A run that ends before end
// may go on: what comes next is not looked at any more than needed.
func (d *Disk) next(pos, end int64) (run, error) {
	r, err := d.locate(pos, end)
	for err == nil && pos+r.n < end && r.kind != kindCompressed {
		// An error is found again when the bytes that it is about are asked for.
		more, err := d.locate(pos+r.n, end)
		if err != nil || !r.joins(more) {
			break
		}
		r.n += more.n
	}
	return r, err
}

// locate is next within one extent, without looking far.
func (d *Disk) locate(pos, end int64) (run, error) {
	x := d.extents[0]
	if len(d.extents) > 1 {
		x = d.extents[sort.Search(len(d.extents), func(i int) bool { return d.extents[i].start > pos })-1]
	}
	end = min(end, x.start+x.size)
	switch x.line.kind {
	case typeZero:
		return run{kind: kindHole, n: end - pos, x: x}, nil
	case typeFlat:
		return run{kind: kindData, n: end - pos, x: x, host: x.line.offset*sectorSize + pos - x.start}, nil
	}
	r, err := d.locateSparse(x, pos-x.start, end-x.start)
	return r, x.wrap(err)
}
