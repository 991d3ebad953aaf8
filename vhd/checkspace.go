package vhd

import (
	"slices"

	"github.com/luksimg/luksimg/internal/disk"
)

// space finds blocks that overlap and space that no structure uses. It sorts starts.
func (c *checker) space(bat, starts []uint32) error {
	if err := c.active(); err != nil {
		return err
	}
	slices.Sort(starts)
	span := c.h.blockSpan()
	for k := 1; k < len(starts); k++ {
		if a, b := starts[k-1], starts[k]; int64(b-a)*sectorSize < span {
			c.overlap(bat, a, b)
		}
	}
	slices.SortFunc(c.regions, func(a, b region) int { return int(min(max(a.start-b.start, -1), 1)) })
	regions := c.regions
	end := int64(0) // end of the space in use so far
	take := func(start, stop int64) {
		if start > end {
			c.leak(end, start)
		}
		end = max(end, stop)
	}
	for _, s := range starts {
		start := int64(s) * sectorSize
		for len(regions) > 0 && regions[0].start <= start {
			take(regions[0].start, regions[0].end)
			regions = regions[1:]
		}
		take(start, start+span)
	}
	for _, r := range regions {
		take(r.start, r.end)
	}
	if c.f.isCopy {
		take(c.size, c.size)
	}
	return nil
}

// overlap records an overlap of two blocks. Their numbers require a search, which it skips once
// enough problems are described.
func (c *checker) overlap(bat []uint32, a, b uint32) {
	if !disk.Describing(c.Problems) {
		c.more()
		return
	}
	i, j := slices.Index(bat, a), slices.Index(bat, b)
	if a == b {
		j = i + 1 + slices.Index(bat[i+1:], b)
	}
	c.corrupt("block %d at byte %d overlaps block %d at byte %d", j, int64(b)*sectorSize, i, int64(a)*sectorSize)
}
