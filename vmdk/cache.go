package vmdk

import (
	"runtime"
	"sync"
)

// cacheBytes is how much of decompressed grains is kept, if there are not more
// processors than grains in it.
const cacheBytes = 4 << 20

// grainCache keeps the grains that were decompressed last, for reads of less than a
// grain. Whoever asks for a grain that somebody decompresses already waits for it.
type grainCache struct {
	mu    sync.Mutex
	slots []*cachedGrain // the one used last is at the end
	limit int
}

// A cachedGrain is one grain, or will be once somebody has done its once.
type cachedGrain struct {
	x     *extent
	grain int64
	users int // may only be reused without any
	once  sync.Once
	b     []byte
	err   error
}

func (c *grainCache) init(d *Disk) {
	grain := int64(minGrain * sectorSize)
	for _, x := range d.extents {
		if x.sparse != nil {
			grain = max(grain, 1<<x.sparse.grainBits)
		}
	}
	c.limit = int(max(min(cacheBytes/grain, 64), int64(runtime.GOMAXPROCS(0))+1))
}

// get returns the place of a grain, which the caller gives back with put.
func (c *grainCache) get(x *extent, grain int64) *cachedGrain {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, s := range c.slots {
		if s.x == x && s.grain == grain {
			copy(c.slots[i:], c.slots[i+1:])
			c.slots[len(c.slots)-1] = s
			s.users++
			return s
		}
	}
	s := &cachedGrain{x: x, grain: grain, users: 1}
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
func (c *grainCache) put(s *cachedGrain) {
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

// readCompressed reads guest-visible bytes of one compressed grain. If all of it is
// wanted it is decompressed to where it belongs.
func (d *Disk) readCompressed(p []byte, r run, pos int64) (int, error) {
	grain := int64(1) << r.x.sparse.grainBits
	if int64(len(p)) == grain {
		if err := r.decompress(p); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	s := d.grains.get(r.x, r.grain)
	defer d.grains.put(s)
	s.once.Do(func() {
		if int64(len(s.b)) != grain {
			s.b = make([]byte, grain)
		}
		s.err = r.decompress(s.b)
	})
	if s.err != nil {
		return 0, s.err
	}
	return copy(p, s.b[(pos-r.x.start)&(grain-1):]), nil
}
