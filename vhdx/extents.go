package vhdx

import (
	"iter"

	"github.com/luksimg/luksimg/image"
)

// Extents yields what the n bytes at off of the disk hold, clipped to the disk.
//
// What is not in the image, nor in its parent if it has one, is a Hole; so is a block
// of zeros without room in the file. A block with room in the file that reads as
// zeros nevertheless is Zero. Data that lie in a hole of the file, if the reader can
// tell, are a Hole too. A part of the block allocation table that is all zeros, of
// 16 KiB, is looked at once.
//
// Neighbouring extents may be of one kind; image.Extents joins them. An error in the
// metadata ends the sequence, which may be used more than once, and concurrently.
func (d *Disk) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	off = min(max(off, 0), d.m.size)
	end := off + min(max(n, 0), d.m.size-off)
	return func(yield func(image.Extent, error) bool) {
		if err := d.readable(); err != nil {
			yield(image.Extent{}, err)
			return
		}
		for pos := off; pos < end; {
			run, err := d.next(pos, min(end, pos+maxExtent))
			if err != nil {
				yield(image.Extent{}, err)
				return
			}
			if !d.runExtents(run, pos, yield) {
				return
			}
			pos += run.n
		}
	}
}

// maxExtent bounds how long a caller waits for the next extent.
const maxExtent = 1 << 42

// runExtents yields the extents of a run at pos, and reports whether the sequence
// goes on.
func (d *Disk) runExtents(r run, pos int64, yield func(image.Extent, error) bool) bool {
	one := func(kind image.Kind) bool {
		return yield(image.Extent{Offset: pos, Length: r.n, Kind: kind}, nil)
	}
	switch r.kind {
	case kindData:
		if src, ok := d.file.(image.Extenter); ok {
			return d.dataExtents(src, r, pos, yield)
		}
		return one(image.Data)
	case kindZero:
		return one(image.Zero)
	case kindHole:
		return one(image.Hole)
	}
	in := max(min(r.n, d.parent.Size()-pos), 0)
	if in > 0 {
		goes := true
		if src, ok := d.parent.(image.Extenter); ok {
			goes = pass(src, pos, in, pos, yield)
		} else {
			goes = yield(image.Extent{Offset: pos, Length: in, Kind: image.Data}, nil)
		}
		if !goes {
			return false
		}
	}
	if in == r.n {
		return true
	}
	return yield(image.Extent{Offset: pos + in, Length: r.n - in, Kind: image.Hole}, nil)
}

// dataExtents yields the extents that the file has for data at pos. What the log
// replaces is data.
func (d *Disk) dataExtents(src image.Extenter, r run, pos int64, yield func(image.Extent, error) bool) bool {
	if d.log == nil {
		return pass(src, r.host, r.n, pos, yield)
	}
	for r.n > 0 {
		n, changed := d.log.part(r.host, r.n)
		if changed {
			if !yield(image.Extent{Offset: pos, Length: n, Kind: image.Data}, nil) {
				return false
			}
		} else if !pass(src, r.host, n, pos, yield) {
			return false
		}
		r.host, r.n, pos = r.host+n, r.n-n, pos+n
	}
	return true
}

// pass yields the extents of n bytes at off of src as those at pos of the disk.
func pass(src image.Extenter, off, n, pos int64, yield func(image.Extent, error) bool) bool {
	for e, err := range src.Extents(off, n) {
		if err != nil {
			yield(image.Extent{}, err)
			return false
		}
		from, to := max(e.Offset, off), min(e.End(), off+n)
		if from < to && !yield(image.Extent{Offset: from - off + pos, Length: to - from, Kind: e.Kind}, nil) {
			return false
		}
	}
	return true
}
