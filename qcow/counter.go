package qcow

import (
	"maps"
	"math"
	"slices"
)

// A use is what a cluster of the file is used for.
type use uint32

const (
	useNone  use = iota
	useData      // guest data, shared by snapshots and compressed clusters
	useTable     // an L2 table, shared by snapshots
	useMeta      // other metadata, never shared
)

const (
	pageClusters = 256
	maxPages     = 16 << 10 // 16 MiB of counters

	countMask = 1<<30 - 1 // the upper bits of a counter are the use
)

// A counter counts references to the clusters of a file, in bounded memory. It counts the clusters
// from lo up to hi. When memory runs out, it lowers hi. Later rounds count the clusters from hi on.
type counter struct {
	lo, hi   int64 // clusters
	pages    map[int64]*[pageClusters]uint32
	maxPages int
}

func newCounter(lo int64) *counter {
	return &counter{lo: lo, hi: math.MaxInt64, pages: map[int64]*[pageClusters]uint32{}, maxPages: maxPages}
}

// add counts references to a cluster and reports whether it has no other use.
func (c *counter) add(cluster int64, u use, times uint32) bool {
	if cluster < c.lo || cluster >= c.hi {
		return true
	}
	page := c.pages[cluster/pageClusters]
	if page == nil {
		if len(c.pages) >= c.maxPages {
			c.shrink()
			if cluster >= c.hi {
				return true
			}
		}
		page = new([pageClusters]uint32)
		c.pages[cluster/pageClusters] = page
	}
	v := &page[cluster%pageClusters]
	before := use(*v >> 30)
	*v = uint32(max(before, u))<<30 | min(*v&countMask+min(times, countMask), countMask)
	return before == useNone || before == u && u != useMeta
}

// shrink drops the upper half of the pages and lowers hi.
func (c *counter) shrink() {
	keys := c.sorted()
	middle := keys[len(keys)/2]
	c.hi = middle * pageClusters
	for _, k := range keys[len(keys)/2:] {
		delete(c.pages, k)
	}
}

func (c *counter) sorted() []int64 { return slices.Sorted(maps.Keys(c.pages)) }

// count returns the number of references counted for a cluster.
func (c *counter) count(cluster int64) uint32 {
	if page := c.pages[cluster/pageClusters]; page != nil {
		return page[cluster%pageClusters] & countMask
	}
	return 0
}

// each calls visit for all clusters with references, in order, until visit fails.
func (c *counter) each(visit func(cluster int64, count uint32) error) error {
	for _, k := range c.sorted() {
		for i, v := range c.pages[k] {
			if n := v & countMask; n > 0 {
				if err := visit(k*pageClusters+int64(i), n); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
