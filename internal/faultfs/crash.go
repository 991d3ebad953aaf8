package faultfs

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
)

// A record is one journaled change: a write, a change of a file's length or of names, or a Sync of a
// file or folder.
type record struct {
	node *node
	data []byte // written bytes
	off  int64  // offset of a write; new length of a truncation
	cut  bool

	names map[string]*node

	done bool // covered by a later Sync
	lost bool // covered by a failed Sync

	sync    bool
	made    []int // records that a Sync made durable
	dropped []int // records that a failed Sync lost
}

// synced records a Sync of all records that match.
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

// A disk is the durable state at some moment.
type disk struct {
	names map[string]*node // in the running system
	data  map[*node]*node  // durable content of each node
}

// of returns the durable content of a node.
func (d *disk) of(n *node) *node {
	if c := d.data[n]; c != nil {
		return c
	}
	return n.before
}

// do applies a record to the disk. Of a write, it applies the sectors for which has returns true.
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

// fs returns the filesystem as it is after a restart.
func (d *disk) fs() *FS {
	f := New()
	for name, n := range d.names {
		f.names[name] = d.of(n).clone()
	}
	f.settle()
	return f
}

// A keep says which of the pending records survive a crash.
type keep struct {
	records []int
	torn    string // which sectors of the last one survive; "" for all
	seed    uint64
}

// A Crash says when the power was lost, and which changes survived although they were not synced.
type Crash struct {
	End  bool // after the last call
	text string
}

func (c Crash) String() string { return c.text }

// Crashes returns the possible states of the disk after a power failure. The power fails after each
// call that changed something since New, WriteFile or Settle, and at the end. If there are too many
// states, it returns the most telling ones, and as many pseudo-random ones as random says. These are
// the same in each run.
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
				clear(seen) // report a state again if it is possible at the end
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

// with returns a copy of the disk to which the kept records are applied.
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

// exhaustive is the maximum number of pending records for which all subsets are tried.
const exhaustive = 4

// keeps lists the combinations of pending records that can survive.
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
	// Tear the last write, both with all other records present and with none.
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
