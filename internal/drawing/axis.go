package drawing

import (
	"slices"
	"sort"
)

// These are the minimum widths of a part and of an empty interval.
const (
	leastSpan = 4.0
	leastGap  = 1.5
)

// An axis maps the offsets of a strip to positions. It is to scale, except that it widens intervals too
// small to be seen.
type axis struct {
	edges  []int64   // of all parts, from 0 to the size
	x      []float64 // of the edges
	broken []bool    // per interval, by its first edge: wider than to scale
}

// newAxis lays out a strip of size bytes over a width.
func newAxis(size int64, spans []Span, width float64) *axis {
	a := &axis{edges: []int64{0, size}}
	for _, s := range spans {
		a.edges = append(a.edges, s.Offset, s.end())
	}
	slices.Sort(a.edges)
	a.edges = slices.Compact(a.edges)
	n := len(a.edges) - 1
	if n < 1 { // size 0
		a.x = []float64{0}
		return a
	}
	least := make([]float64, n)
	for i := range least {
		least[i] = leastGap
		for _, s := range spans {
			if s.Offset <= a.edges[i] && a.edges[i] < s.end() {
				least[i] = leastSpan
			}
		}
	}
	a.broken = make([]bool, n)
	scale := float64(0)
	for again := true; again; { // each round widens at least one more interval
		again = false
		bytes, room := float64(0), width
		for i := range least {
			if a.broken[i] {
				room -= least[i]
			} else {
				bytes += float64(a.edges[i+1] - a.edges[i])
			}
		}
		scale = room / max(bytes, 1)
		for i := range least {
			if !a.broken[i] && float64(a.edges[i+1]-a.edges[i])*scale < least[i] {
				a.broken[i], again = true, true
			}
		}
	}
	a.x = make([]float64, n+1)
	for i := range least {
		w := least[i]
		if !a.broken[i] {
			w = float64(a.edges[i+1]-a.edges[i]) * scale
		}
		a.x[i+1] = a.x[i] + w
	}
	return a
}

// at returns the position of an offset.
func (a *axis) at(off int64) float64 {
	i := sort.Search(len(a.edges), func(i int) bool { return a.edges[i] > off }) - 1
	switch {
	case i < 0:
		return 0
	case i >= len(a.edges)-1:
		return a.x[len(a.x)-1]
	}
	share := float64(off-a.edges[i]) / float64(a.edges[i+1]-a.edges[i])
	return a.x[i] + share*(a.x[i+1]-a.x[i])
}

// breaks yields the ends of each run of intervals that are not to scale.
func (a *axis) breaks(yield func(from, to float64) bool) {
	for i := 0; i < len(a.broken); i++ {
		if !a.broken[i] {
			continue
		}
		from := a.x[i]
		for i < len(a.broken) && a.broken[i] {
			i++
		}
		if !yield(from, a.x[i]) {
			return
		}
	}
}
