package vhd

import (
	"iter"

	"github.com/luksimg/luksimg/image"
)

// Extents yields what the n bytes at off of the disk hold, clipped to the disk.
//
// In a dynamic disk a block that is not in the file is a Hole, and a run of sectors
// whose bitmap bits are clear is Zero; in a differencing disk both are what the
// parent has there, and a Hole past its end. A run of absent blocks is one extent, or
// one question to the parent, and costs a look at each table entry, no reading; an
// allocated block has its bitmap read when it was not used before, and an error of
// that ends the sequence. A fixed disk has the extents of the reader that it was
// opened with if that is an image.Extenter, and else is all Data. Extents does not
// need the key of an encrypted disk.
//
// Neighbouring extents may be of one kind; image.Extents joins them. The sequence
// may be used more than once, and concurrently.
func (d *Disk) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	off = min(max(off, 0), d.size)
	end := off + min(max(n, 0), d.size-off)
	return func(yield func(image.Extent, error) bool) {
		err := d.readable()
		switch {
		case err != nil:
			yield(image.Extent{}, err)
		case off == end:
		case d.bat == nil:
			d.fixedExtents(off, end, yield)
		default:
			d.dynamicExtents(off, end, yield)
		}
	}
}

func (d *Disk) fixedExtents(off, end int64, yield func(image.Extent, error) bool) {
	src, ok := d.r.(image.Extenter)
	if !ok {
		yield(image.Extent{Offset: off, Length: end - off, Kind: image.Data}, nil)
		return
	}
	pass(src, off, end, yield)
}

// pass yields the extents of src from off to end, and reports whether the sequence
// goes on.
func pass(src image.Extenter, off, end int64, yield func(image.Extent, error) bool) bool {
	for e, err := range src.Extents(off, end-off) {
		if err != nil {
			yield(image.Extent{}, err)
			return false
		}
		from, to := max(e.Offset, off), min(e.End(), end)
		if from < to && !yield(image.Extent{Offset: from, Length: to - from, Kind: e.Kind}, nil) {
			return false
		}
	}
	return true
}

func (d *Disk) dynamicExtents(off, end int64, yield func(image.Extent, error) bool) {
	for off < end {
		block := int(off >> d.blockShift)
		last := block + 1
		if d.bat[block] == absent {
			for int64(last)<<d.blockShift < end && d.bat[last] == absent {
				last++
			}
		}
		stop := min(int64(last)<<d.blockShift, end)
		if d.bat[block] == absent {
			if !d.clearExtents(off, stop, image.Hole, yield) {
				return
			}
		} else if !d.blockExtents(block, off, stop, yield) {
			return
		}
		off = stop
	}
}

// blockExtents yields the extents of the bytes of the disk from off to end, which
// lie in one allocated block. It reports whether the sequence goes on.
func (d *Disk) blockExtents(block int, off, end int64, yield func(image.Extent, error) bool) bool {
	state, err := d.state(block)
	if err != nil {
		yield(image.Extent{}, err)
		return false
	}
	switch state {
	case stateFull:
		return yield(image.Extent{Offset: off, Length: end - off, Kind: image.Data}, nil)
	case stateEmpty:
		return d.clearExtents(off, end, image.Zero, yield)
	}
	// The loop body may use the disk again: it gets a buffer of its own then.
	buf := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(buf)
	start := int64(block) << d.blockShift
	for off < end {
		m, err := d.readBits(buf, block, (off-start)/sectorSize, (end-start+sectorSize-1)/sectorSize)
		if err != nil {
			yield(image.Extent{}, err)
			return false
		}
		for stop := min(start+m.end*sectorSize, end); off < stop; {
			next, set := m.run((off - start) / sectorSize)
			to := min(start+next*sectorSize, stop)
			goes := true
			if set {
				goes = yield(image.Extent{Offset: off, Length: to - off, Kind: image.Data}, nil)
			} else {
				goes = d.clearExtents(off, to, image.Zero, yield)
			}
			if !goes {
				return false
			}
			off = to
		}
	}
	return true
}

// clearExtents yields the extents of the bytes from off to end, which were never
// written: one of a kind in a dynamic disk, the parent's in a differencing one.
func (d *Disk) clearExtents(off, end int64, kind image.Kind, yield func(image.Extent, error) bool) bool {
	if d.parent == nil {
		return yield(image.Extent{Offset: off, Length: end - off, Kind: kind}, nil)
	}
	if in := min(end, d.parent.Size()); off < in {
		goes := true
		if src, ok := d.parent.(image.Extenter); ok {
			goes = pass(src, off, in, yield)
		} else {
			goes = yield(image.Extent{Offset: off, Length: in - off, Kind: image.Data}, nil)
		}
		if !goes {
			return false
		}
		off = in
	}
	return off == end || yield(image.Extent{Offset: off, Length: end - off, Kind: image.Hole}, nil)
}
