package qcow

import (
	"runtime"
	"sync"
)

// cacheBytes is how much of decompressed clusters is kept, if there are not more
// processors than clusters in it.
const cacheBytes = 4 << 20

// compressedCache keeps the clusters that were decompressed last, for reads of less
// than a cluster. Whoever asks for a cluster that somebody decompresses already
// waits for it.
type compressedCache struct {
	mu      sync.Mutex
	slots   []*cachedCluster // the one used last is at the end
	limit   int
	cluster int64
}

// A cachedCluster is one cluster, or will be once somebody has done its once.
type cachedCluster struct {
	entry uint64 // its L2 entry, which also tells it from others
	users int    // may only be reused without any
	once  sync.Once
	b     []byte
	err   error
}

func (c *compressedCache) init(h *header) {
	c.cluster = h.clusterSize()
	c.limit = int(max(min(cacheBytes/c.cluster, 64), int64(runtime.GOMAXPROCS(0))+1))
}

// get returns the place of a cluster, which the caller gives back with put.
func (c *compressedCache) get(entry uint64) *cachedCluster {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, s := range c.slots {
		if s.entry == entry {
			copy(c.slots[i:], c.slots[i+1:])
			c.slots[len(c.slots)-1] = s
			s.users++
			return s
		}
	}
	s := &cachedCluster{entry: entry, users: 1}
	if len(c.slots) >= c.limit {
		for i, old := range c.slots {
			if old.users == 0 {
				s.b = old.b
				c.slots = append(c.slots[:i], c.slots[i+1:]...)
				break
			}
		}
	}
	c.slots = append(c.slots, s)
	return s
}

// put gives a place back. What failed, or is more than the limit because all else
// was in use, is not kept.
func (c *compressedCache) put(s *cachedCluster) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.users--
	if s.users > 0 || s.err == nil && len(c.slots) <= c.limit {
		return
	}
	for i := range c.slots {
		if c.slots[i] == s {
			c.slots = append(c.slots[:i], c.slots[i+1:]...)
			return
		}
	}
}

// readCompressed reads guest-visible bytes of one compressed cluster. If all of it
// is wanted it is decompressed to where it belongs.
func (d *Disk) readCompressed(p []byte, r run, pos int64) (int, error) {
	if int64(len(p)) == d.h.clusterSize() {
		if err := d.decompress(p, r); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	s := d.compressed.get(r.entry)
	defer d.compressed.put(s)
	s.once.Do(func() {
		if s.b == nil {
			s.b = make([]byte, d.h.clusterSize())
		}
		s.err = d.decompress(s.b, r)
	})
	if s.err != nil {
		return 0, s.err
	}
	return copy(p, s.b[pos&(d.h.clusterSize()-1):]), nil
}
