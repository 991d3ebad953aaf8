package disk

import (
	"runtime"
	"sync"
)

// cacheBytes is the target size of a cache. NewCache exceeds it only to give each processor a unit.
const cacheBytes = 4 << 20

// A Cache keeps the most recently decompressed units of an image, such as qcow2 clusters or VMDK
// grains. It serves reads that are shorter than a unit. It is safe for concurrent use.
type Cache struct {
	mu    sync.Mutex
	units []*cached // in order of last use, the latest at the end
	limit int
}

// A cached unit holds a decoded unit, or waits for once to decode it.
type cached struct {
	key   Unit
	users int // readers; the buffer is reused only when this is 0
	once  sync.Once
	b     []byte
	err   error
}

// NewCache returns a cache for units of at most size bytes.
func NewCache(size int64) *Cache {
	return &Cache{limit: int(max(min(cacheBytes/size, 64), int64(runtime.GOMAXPROCS(0))+1))}
}

// Read copies bytes at off in a unit of size bytes to p and returns the number of bytes copied. It
// stops at the end of the unit. Read calls decode to decompress the unit unless the cache holds it.
// A read of a whole unit decodes into p and bypasses the cache. Concurrent readers of one unit wait
// for a single call of decode. A unit whose decode failed is not kept.
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

// get returns the entry of a unit. The caller releases it with put.
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

// put releases an entry. It drops an entry that failed to decode, or that exceeds the limit because
// all others were in use.
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
