package compressed

import (
	"context"
	"io"
	"sort"
)

// A unit is a part of a file that is decoded independently.
type unit struct {
	off  int64 // offset of its content in the decompressed file
	zoff int64 // offset in the compressed file
	part int   // number of its first part; short parts share a unit
}

// An index has the offsets of the units of a file. Short units are merged to save memory and read
// calls.
type index struct {
	kind  Kind
	units []unit
	end   unit // the start of the unit after the last
	file  int64
	least int64 // minimum length of a merged unit, except the last
	most  int64 // length of the longest unit

	// whole decodes a unit at once and open reads a unit in order, for formats with their own methods.
	whole func(dst []byte, from, to unit) error
	open  func(ctx context.Context, from, to unit) io.ReadCloser

	// push, if not nil, pushes all parts in its own order; see [image.Pusher].
	push func(ctx context.Context, workers int, do func(p []byte, off int64) error) error
}

const (
	leastUnit = 1 << 20
	maxUnits  = 1 << 17
)

func newIndex(k Kind, size int64) *index { return &index{kind: k, file: size, least: leastUnit} }

// skip adds an empty part.
func (x *index) skip(packed int64) { x.end.zoff += packed }

// add adds a part with its compressed and decompressed length.
func (x *index) add(packed, size int64, o Options) error {
	if size > o.Limit(x.file)-x.end.off {
		return &SizeError{x.kind, x.end.off + size, o.Limit(x.file)}
	}
	if n := len(x.units); n == 0 || x.end.off-x.units[n-1].off >= x.least || x.end.off-x.units[n-1].off+size > 2*x.least {
		x.units = append(x.units, x.end)
	}
	x.end.off += size
	x.end.zoff += packed
	x.end.part++
	x.most = max(x.most, x.end.off-x.units[len(x.units)-1].off)
	if len(x.units) > maxUnits {
		x.halve()
	}
	return nil
}

// halve merges units that are shorter than twice the minimum.
func (x *index) halve() {
	x.least *= 2
	old := x.units
	x.units = x.units[:0]
	for i, u := range old {
		end := x.end.off
		if i+1 < len(old) {
			end = old[i+1].off
		}
		if n := len(x.units); n > 0 && u.off-x.units[n-1].off < x.least && end-x.units[n-1].off <= 2*x.least {
			continue
		}
		x.units = append(x.units, u)
	}
	x.most = 0
	for i := range x.units {
		x.most = max(x.most, x.next(i).off-x.units[i].off)
	}
}

// next returns the end of unit i.
func (x *index) next(i int) unit {
	if i+1 < len(x.units) {
		return x.units[i+1]
	}
	return x.end
}

// size returns the decompressed length of unit i.
func (x *index) size(i int) int64 { return x.next(i).off - x.units[i].off }

// section returns the compressed bytes of unit i.
func (x *index) section(r io.ReaderAt, i int) *io.SectionReader {
	u := x.units[i]
	return io.NewSectionReader(r, u.zoff, x.next(i).zoff-u.zoff)
}

// find returns the number of the unit that contains the byte at off, which must be in the file.
func (x *index) find(off int64) int {
	return sort.Search(len(x.units), func(i int) bool { return x.units[i].off > off }) - 1
}
