package disk

import (
	"runtime"
	"sync"
)

// cacheBytes is how much is kept, if there are not more processors than units in it.
const cacheBytes = 4 << 20

// A Cache keeps what was decompressed last of an image, for reads of less than what is compressed
// together: a cluster of qcow2, a grain of VMDK. It is safe for concurrent use.
type Cache struct {
	mu    sync.Mutex
	units []*cached // the one used last is at the end
	limit int
}

// A cached unit is decoded, or will be once somebody has done its once.
type cached struct {
	key   Unit
	users int // may only be reused without any
	once  sync.Once
	b     []byte
	err   error
}

// NewCache returns a cache for units of size bytes at most.
func NewCache(size int64) *Cache {
	return &Cache{limit: int(max(min(cacheBytes/size, 64), int64(runtime.GOMAXPROCS(0))+1))}
}

// Read fills p with what is at off in a unit of size bytes, to the end of the unit at most,
// and returns how much that is. It calls decode to fill a buffer with the unit: p itself if
// all of the unit is wanted, and none if the unit is kept from before. Whoever asks for a
// unit that somebody decodes already waits for it. What failed is not kept.
func (c *Cache) Read(p []byte, key Unit, off, size int64, decode func(dst []byte) error) (int, error) {
	if int64(len(p)) == size && off == 0 {
		if err := decode(p); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	u := c.get(key)
	defer c.put(u)
	u.once.Do(func() {
		if int64(len(u.b)) != size {
			u.b = make([]byte, size)
		}
		u.err = decode(u.b)
	})
	if u.err != nil {
		return 0, u.err
	}
	return copy(p, u.b[off:]), nil
}

// get returns the place of a unit, which the caller gives back with put.
func (c *Cache) get(key Unit) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, u := range c.units {
		if u.key == key {
			copy(c.units[i:], c.units[i+1:])
			c.units[len(c.units)-1] = u
			u.users++
			return u
		}
	}
	u := &cached{key: key, users: 1}
	if len(c.units) >= c.limit {
		for i, old := range c.units {
			if old.users == 0 {
				u.b = old.b
				c.remove(i)
				break
			}
		}
	}
	c.units = append(c.units, u)
	return u
}

// put gives a place back. What failed, or is more than the limit because all else was in
// use, is not kept.
func (c *Cache) put(u *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u.users--
	if u.users > 0 || u.err == nil && len(c.units) <= c.limit {
		return
	}
	for i := range c.units {
		if c.units[i] == u {
			c.remove(i)
			return
		}
	}
}

func (c *Cache) remove(i int) { c.units = append(c.units[:i], c.units[i+1:]...) }
