package faultfs

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
)

// A record is something that was done: a write, a change of length, of names, or a Sync of
// one or the other.
type record struct {
	node *node
	data []byte // of a write
	off  int64  // of a write; the new length of a cut
	cut  bool

	names map[string]*node

	done bool // a later Sync was about it
	lost bool // and a failed one

	sync    bool
	made    []int // by a Sync: what became durable
	dropped []int // and what never will
}

// synced records a Sync of what matches.
func (d *FS) synced(failed bool, match func(r *record) bool) {
	sync := record{sync: true}
	for i := range d.journal {
		r := &d.journal[i]
		switch {
		case r.sync || r.done || !match(r):
		case failed:
			r.lost = true
		case r.lost:
			r.done = true
			sync.dropped = append(sync.dropped, i)
		default:
			r.done = true
			sync.made = append(sync.made, i)
		}
	}
	d.journal = append(d.journal, sync)
}

// A disk is what is durable at some moment.
type disk struct {
	names map[string]*node // of the running system
	data  map[*node]*node  // what is on the disk of each
}

// of returns what the disk has of a node.
func (d *disk) of(n *node) *node {
	if c := d.data[n]; c != nil {
		return c
	}
	return n.before
}

// do has a record on the disk; of a write, the sectors that has tells.
func (d *disk) do(r *record, has func(sector int64) bool) {
	if r.names != nil {
		for name, n := range r.names {
			if n == nil {
				delete(d.names, name)
			} else {
				d.names[name] = n
			}
		}
		return
	}
	n := d.of(r.node).clone()
	d.data[r.node] = n
	switch {
	case r.cut:
		n.truncate(r.off)
	case has == nil:
		n.writeAt(r.data, r.off)
	default:
		for at := 0; at < len(r.data); {
			off := r.off + int64(at)
			end := min(len(r.data), at+int(Sector-off%Sector))
			if has(off / Sector) {
				n.writeAt(r.data[at:end], off)
			}
			at = end
		}
	}
}

// fs returns the filesystem as it is when it comes up again.
func (d *disk) fs() *FS {
	f := New()
	for name, n := range d.names {
		f.names[name] = d.of(n).clone()
	}
	f.settle()
	return f
}

// A keep is what of the records that are not durable the disk has all the same.
type keep struct {
	records []int
	torn    string // of the last of them, which sectors; "" for all
	seed    uint64
}

// A Crash says when the power was lost, and what was kept of what was not synced.
type Crash struct {
	End  bool // all calls were made
	text string
}

func (c Crash) String() string { return c.text }

// Crashes returns what may be on the disk if the power is lost: after each of the calls that
// changed something since New, WriteFile or Settle, and at the end. Where all that could be
// is too much it is what most often matters, and as many states at random as random says;
// the same each time.
func (d *FS) Crashes(random int) iter.Seq2[Crash, *FS] {
	return func(yield func(Crash, *FS) bool) {
		d.mu.Lock()
		journal, now := slices.Clone(d.journal), &disk{maps.Clone(d.base), map[*node]*node{}}
		d.mu.Unlock()
		var pending []int
		seen := map[string]bool{}
		for k := 0; k <= len(journal); k++ {
			if k > 0 {
				r := &journal[k-1]
				for _, i := range r.made {
					now.do(&journal[i], nil)
				}
				pending = slices.DeleteFunc(pending, func(i int) bool { return slices.Contains(r.made, i) || slices.Contains(r.dropped, i) })
				if !r.sync {
					pending = append(pending, k-1)
				} else {
					clear(seen)
				}
			}
			if k == len(journal) {
				clear(seen) // what may be there at the end says more than that it may be there
			}
			for _, kept := range keeps(journal, pending, random, uint64(k)) {
				key := fmt.Sprint(kept.records, kept.torn)
				if kept.torn == "random" {
					key += fmt.Sprint(kept.seed)
				}
				if seen[key] {
					continue
				}
				seen[key] = true
				if !yield(Crash{k == len(journal), kept.text(k, journal, pending)}, now.with(journal, kept).fs()) {
					return
				}
			}
		}
	}
}

// with returns a disk that has more.
func (d *disk) with(journal []record, kept keep) *disk {
	c := &disk{maps.Clone(d.names), maps.Clone(d.data)}
	for at, i := range kept.records {
		r := &journal[i]
		var has func(int64) bool
		if at == len(kept.records)-1 {
			middle := (r.off + int64(len(r.data))/2) / Sector
			switch kept.torn {
			case "start":
				has = func(s int64) bool { return s < middle }
			case "end":
				has = func(s int64) bool { return s >= middle }
			case "random":
				rnd := rand.New(rand.NewPCG(kept.seed, uint64(i)))
				has = func(int64) bool { return rnd.IntN(2) == 0 }
			}
		}
		c.do(r, has)
	}
	return c
}

// exhaustive is how many records may be pending for each subset of them to be tried.
const exhaustive = 4

// keeps lists what of the pending records the disk may have.
func keeps(journal []record, pending []int, random int, seed uint64) (all []keep) {
	add := func(which func(at, i int) bool) {
		var some []int
		for at, i := range pending {
			if which(at, i) {
				some = append(some, i)
			}
		}
		all = append(all, keep{records: some})
	}
	if len(pending) <= exhaustive {
		for set := range 1 << len(pending) {
			add(func(at, _ int) bool { return set>>at&1 == 1 })
		}
	} else {
		add(func(int, int) bool { return false })
		add(func(int, int) bool { return true })
		add(func(_, i int) bool { return journal[i].names != nil })
		add(func(_, i int) bool { return journal[i].names == nil })
		last := len(pending) - 1
		add(func(at, _ int) bool { return at == last })
		add(func(at, _ int) bool { return at != 0 })
		rnd := rand.New(rand.NewPCG(seed, 0))
		for range random {
			add(func(int, int) bool { return rnd.IntN(2) == 0 })
		}
	}
	// The last write is torn, where all else is there, and where nothing is.
	if n := len(pending); n > 0 && len(journal[pending[n-1]].data) > Sector {
		for _, records := range [][]int{pending, pending[n-1:]} {
			for _, torn := range []string{"start", "end", "random"} {
				all = append(all, keep{slices.Clone(records), torn, seed})
			}
		}
	}
	return all
}

func (p keep) text(k int, journal []record, pending []int) string {
	s := fmt.Sprintf("after %d of %d changes, with %d of the %d that were not synced", k, len(journal), len(p.records), len(pending))
	if p.torn != "" {
		s += ", the last torn (" + p.torn + ")"
	}
	return s
}
