package vmdk

import (
	"iter"

	"github.com/luksimg/luksimg/image"
)

// Extents yields what the n bytes at off of the disk hold, clipped to the disk.
//
// Where the image has no grain, and its parent, if any, has nothing, is a Hole; so is
// a grain that is marked as zeros, and an extent of zeros. Data that are not
// compressed and lie in a hole of their file, if the reader can tell, are a Hole too.
// Where there is no grain table, an entry of the grain directory is all that is
// looked at.
//
// Neighbouring extents may be of one kind; image.Extents joins them. An error in the
// metadata ends the sequence, which may be used more than once, and concurrently.
func (d *Disk) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	off = min(max(off, 0), d.size)
	end := off + min(max(n, 0), d.size-off)
	return func(yield func(image.Extent, error) bool) {
		if d.opts.MetadataOnly {
			yield(image.Extent{}, errMetadataOnly)
			return
		}
		for pos := off; pos < end; {
			r, err := d.next(pos, min(end, pos+maxExtent))
			if err != nil {
				yield(image.Extent{}, err)
				return
			}
			if !d.runExtents(r, pos, yield) {
				return
			}
			pos += r.n
		}
	}
}

// maxExtent bounds how long a caller waits for the next extent.
const maxExtent = 1 << 50

// runExtents yields the extents of a run at pos, and reports whether the sequence
// goes on.
func (d *Disk) runExtents(r run, pos int64, yield func(image.Extent, error) bool) bool {
	switch r.kind {
	case kindData:
		return pass(r.x.src, r.host, r.n, pos, r.x.wrap, yield)
	case kindCompressed:
		return yield(image.Extent{Offset: pos, Length: r.n, Kind: image.Data}, nil)
	case kindHole:
		return yield(image.Extent{Offset: pos, Length: r.n, Kind: image.Hole}, nil)
	}
	in := int64(0)
	if d.parent != nil {
		in = max(min(r.n, d.parent.Size()-pos), 0)
	}
	if in > 0 && !pass(d.parent, pos, in, pos, func(err error) error { return err }, yield) {
		return false
	}
	return in == r.n || yield(image.Extent{Offset: pos + in, Length: r.n - in, Kind: image.Hole}, nil)
}

// pass yields the extents of n bytes at off of r as those at pos of the disk; what r
// cannot tell is Data.
func pass(r any, off, n, pos int64, wrap func(error) error, yield func(image.Extent, error) bool) bool {
	src, ok := r.(image.Extenter)
	if !ok {
		return yield(image.Extent{Offset: pos, Length: n, Kind: image.Data}, nil)
	}
	for e, err := range src.Extents(off, n) {
		if err != nil {
			yield(image.Extent{}, wrap(err))
			return false
		}
		from, to := max(e.Offset, off), min(e.End(), off+n)
		if from < to && !yield(image.Extent{Offset: from - off + pos, Length: to - from, Kind: e.Kind}, nil) {
			return false
		}
	}
	return true
}
