package engine

import (
	"context"
	"iter"
	"maps"
	"math/bits"
	"slices"
	"sync"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/pieces"
)

// A Scan is a job that reads all data of a disk and finds the units that are not all zeros.
type Scan struct {
	Source image.Source
	Unit   int64 // bytes, a power of two
	Workers
}

// Run returns the units that are in use.
func (s Scan) Run(ctx context.Context) (*Units, error) {
	used := &Units{}
	cut := pieces.Cut{Unit: unit, Most: unit}
	err := pieces.Each(ctx, s.Count, unit, cut.Pieces(ctx, s.Source, 0, s.Source.Size()), func(buf []byte, p pieces.Piece) error {
		s.Done(p.Disk)
		if p.Zero {
			return nil
		}
		b, err := p.Read(s.Source, buf)
		if err != nil {
			return err
		}
		for off := p.Offset; len(b) > 0; {
			n := min(int64(len(b)), s.Unit)
			if !pieces.IsZero(b[:n]) {
				used.set(off / s.Unit)
			}
			b, off = b[n:], off+n
		}
		return nil
	})
	return used, err
}

// Units are a set of units of a disk. Their memory depends on the number of units in the set, not on
// the size of the disk. The zero value is empty.
type Units struct {
	mu    sync.Mutex
	pages map[int64]*unitPage // key: number of the first unit / pageUnits
}

// A unitPage has one bit per unit.
type unitPage [pageUnits / 64]uint64

const pageUnits = 4096

func (u *Units) set(i int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	p := u.pages[i/pageUnits]
	if p == nil {
		if u.pages == nil {
			u.pages = map[int64]*unitPage{}
		}
		p = new(unitPage)
		u.pages[i/pageUnits] = p
	}
	p[i%pageUnits/64] |= 1 << (i % 64)
}

// Len returns the number of units.
func (u *Units) Len() int64 {
	n := 0
	for _, p := range u.pages {
		for _, w := range p {
			n += bits.OnesCount64(w)
		}
	}
	return int64(n)
}

// All yields the numbers of the units in ascending order.
func (u *Units) All() iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for _, k := range slices.Sorted(maps.Keys(u.pages)) {
			for i, w := range u.pages[k] {
				for ; w != 0; w &= w - 1 {
					if !yield(k*pageUnits + int64(64*i+bits.TrailingZeros64(w))) {
						return
					}
				}
			}
		}
	}
}
