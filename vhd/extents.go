package vhd

import (
	"iter"

	"github.com/luksimg/luksimg/image"
)

// Extents yields what the n bytes at off of the disk hold, clipped to the disk.
//
// In a dynamic disk a block that is not in the file is a Hole, and a run of sectors
// whose bitmap bits are clear is Zero. A run of absent blocks is one extent and
// costs a look at each table entry, no reading; an allocated block has its bitmap
// read when it was not used before, and an error of that ends the sequence. A fixed
// disk has the extents of the reader that it was opened with if that is an
// image.Extenter, and else is all Data.
//
// Neighbouring extents may be of one kind; image.Extents joins them. The sequence
// may be used more than once, and concurrently.
func (d *Disk) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	off = min(max(off, 0), d.size)
	end := off + min(max(n, 0), d.size-off)
	return func(yield func(image.Extent, error) bool) {
		switch {
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
	for e, err := range src.Extents(off, end-off) {
		if err != nil {
			yield(image.Extent{}, err)
			return
		}
		from, to := max(e.Offset, off), min(e.End(), end)
		if from < to && !yield(image.Extent{Offset: from, Length: to - from, Kind: e.Kind}, nil) {
			return
		}
	}
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
			if !yield(image.Extent{Offset: off, Length: stop - off, Kind: image.Hole}, nil) {
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
		return yield(image.Extent{Offset: off, Length: end - off, Kind: image.Zero}, nil)
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
			e := image.Extent{Offset: off, Length: min(start+next*sectorSize, stop) - off, Kind: image.Zero}
			if set {
				e.Kind = image.Data
			}
			if !yield(e, nil) {
				return false
			}
			off = e.End()
		}
	}
	return true
}
