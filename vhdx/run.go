package vhdx

// A kind is how bytes of the disk are stored.
type kind uint8

const (
	kindParent kind = iota // not here: in the parent
	kindHole               // zeros, without room in the file
	kindZero               // zeros, with room in the file that is not used
	kindData
)

// A run is bytes of the disk that are stored alike and, for data, one after the
// other.
type run struct {
	kind kind
	n    int64 // bytes
	host int64 // for data: the offset in the file
}

// joins reports whether next, which follows r in the disk, belongs to it.
func (r *run) joins(next run) bool {
	return r.kind == next.kind && (r.kind != kindData || r.host+r.n == next.host)
}

// next returns the run at pos of the disk, up to end. A run that ends before end may
// go on: what comes next is not looked at any more than needed.
func (d *Disk) next(pos, end int64) (run, error) {
	r, err := d.locate(pos, end)
	for err == nil && pos+r.n < end {
		// An error is found again when the bytes that it is about are asked for.
		more, err := d.locate(pos+r.n, end)
		if err != nil || !r.joins(more) {
			break
		}
		r.n += more.n
	}
	return r, err
}

// absent is the kind of what a block that is not present has.
func (d *Disk) absent() kind {
	if d.m.hasParent {
		return kindParent
	}
	return kindHole
}

// locate returns the run at pos that one block gives, or one page of the table that
// has no blocks.
func (d *Disk) locate(pos, end int64) (run, error) {
	m := d.m
	block := pos >> m.blockShift
	index := m.index(block)
	empty, err := d.isEmpty(index)
	if err != nil {
		return run{}, err
	}
	if empty {
		stop := m.blockAt((index/pageEntries+1)*pageEntries) << m.blockShift
		return run{kind: d.absent(), n: min(stop, end) - pos}, nil
	}
	e, err := d.entry(index)
	if err != nil {
		return run{}, err
	}
	if _, err := d.checkEntry(index, e); err != nil {
		return run{}, err
	}
	within := pos & (m.blockSize - 1)
	r := run{n: min(m.blockSize-within, end-pos)}
	switch e & stateMask {
	case stateNotPresent:
		r.kind = d.absent()
	case statePresent:
		r.kind, r.host = kindData, int64(e&offsetMask)+within
	case statePartial:
		return d.partial(block, within, int64(e&offsetMask), r.n)
	default:
		// What is in undefined and unmapped blocks may be read as zeros.
		if r.kind = kindHole; d.keepsPlace(block, e) {
			r.kind = kindZero
		}
	}
	return r, nil
}
