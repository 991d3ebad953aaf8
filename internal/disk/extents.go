package disk

import (
	"iter"

	"github.com/luksimg/luksimg/image"
)

// Extents yields the extents of the n bytes at off, clipped to the disk.
//
// Bytes that are absent from the image have the parent's extents. Past the parent's end, or without
// a parent, they are a Hole. Data in a hole of its file is a Hole too, if the file reports holes.
// Adjacent extents can have the same kind; [image.Extents] merges them. The sequence ends after an
// error. It can be used more than once, and concurrently.
func (d *Disk) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	off = min(max(off, 0), d.Size)
	end := off + min(max(n, 0), d.Size-off)
	return func(yield func(image.Extent, error) bool) {
		if err := d.readable(); err != nil {
			yield(image.Extent{}, err)
			return
		}
		for pos := off; pos < end; {
			r, err := d.Next(pos, end)
			if err != nil {
				yield(image.Extent{}, err)
				return
			}
			if !d.runExtents(r, pos, yield) {
				return
			}
			pos += r.N
		}
	}
}

// runExtents yields the extents of the run at pos and reports whether to continue.
func (d *Disk) runExtents(r Run, pos int64, yield func(image.Extent, error) bool) bool {
	one := func(pos, n int64, kind image.Kind) bool {
		return yield(image.Extent{Offset: pos, Length: n, Kind: kind}, nil)
	}
	switch r.Kind {
	case Data:
		return r.File.Extents(r.Host, r.N, pos, yield)
	case Packed:
		return one(pos, r.N, image.Data)
	case Zero:
		return one(pos, r.N, image.Zero)
	case Hole:
		return one(pos, r.N, image.Hole)
	}
	in := d.inParent(pos, r.N)
	if in > 0 && !(&File{R: d.Parent}).Extents(pos, in, pos, yield) {
		return false
	}
	return in == r.N || one(pos+in, r.N-in, image.Hole)
}

// Extents yields the extents of n bytes at off of the file, shifted to pos of the disk. It reports
// whether to continue. A file that does not report holes is data.
func (f *File) Extents(off, n, pos int64, yield func(image.Extent, error) bool) bool {
	src, ok := f.R.(image.Extenter)
	if !ok || f.Opaque {
		return yield(image.Extent{Offset: pos, Length: n, Kind: image.Data}, nil)
	}
	for e, err := range src.Extents(off, n) {
		if err != nil {
			yield(image.Extent{}, f.wrap(err))
			return false
		}
		from, to := max(e.Offset, off), min(e.End(), off+n)
		if from < to && !yield(image.Extent{Offset: from - off + pos, Length: to - from, Kind: e.Kind}, nil) {
			return false
		}
	}
	return true
}
