package compressed

import (
	"context"
	"io"
	"sort"
)

// A unit is a part of a file that is decoded on its own.
type unit struct {
	off  int64 // of what is in it, in what is in the file
	zoff int64 // of the part in the file
	part int   // its number, where parts have one: several that are short are in one unit
}

// An index tells where in a file its units are. Units that are short are put together, so that an
// index takes little memory, and reading them few steps.
type index struct {
	kind  Kind
	units []unit
	end   unit // where the next one starts
	file  int64
	least int64 // that a unit is long, but for the last one and those that are longer
	most  int64 // that one is

	// whole decodes a unit at once, and open reads one in order, where a container has its own ways.
	whole func(dst []byte, from, to unit) error
	open  func(ctx context.Context, from, to unit) io.ReadCloser

	// push gives all parts in an order of its own, if it is not nil; see [image.Pusher].
	push func(ctx context.Context, workers int, do func(p []byte, off int64) error) error
}

const (
	leastUnit = 1 << 20
	maxUnits  = 1 << 17
)

func newIndex(k Kind, size int64) *index { return &index{kind: k, file: size, least: leastUnit} }

// skip adds a part that gives nothing.
func (x *index) skip(packed int64) { x.end.zoff += packed }

// add adds a part of the file that is so long, and what is in it.
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

// halve puts units together that are shorter than twice the least.
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

// next returns where unit i ends.
func (x *index) next(i int) unit {
	if i+1 < len(x.units) {
		return x.units[i+1]
	}
	return x.end
}

// size returns the length of what is in unit i.
func (x *index) size(i int) int64 { return x.next(i).off - x.units[i].off }

// section returns unit i of the file.
func (x *index) section(r io.ReaderAt, i int) *io.SectionReader {
	u := x.units[i]
	return io.NewSectionReader(r, u.zoff, x.next(i).zoff-u.zoff)
}

// find returns the number of the unit that has a byte, which is in one.
func (x *index) find(off int64) int {
	return sort.Search(len(x.units), func(i int) bool { return x.units[i].off > off }) - 1
}
