package disk

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

// fill returns a decode function that fills a unit with its number and counts its calls.
func fill(n int, calls *atomic.Int64) func([]byte) error {
	return func(dst []byte) error {
		calls.Add(1)
		copy(dst, bytes.Repeat([]byte{byte(n)}, len(dst)))
		return nil
	}
}

func numbered(n int) Unit { return Unit{Key: uint64(n)} }

func TestCacheRead(t *testing.T) {
	const size = 1 << 20
	c := NewCache(size)
	var calls atomic.Int64
	read := func(unit int, off int64, n, want int, decodes int64) {
		t.Helper()
		calls.Store(0)
		p := make([]byte, n)
		got, err := c.Read(p, numbered(unit), off, size, fill(unit, &calls))
		if err != nil || got != want || bytes.Count(p[:got], []byte{byte(unit)}) != want || calls.Load() != decodes {
			t.Errorf("unit %d at %d: %d bytes, %v, decoded %d times; want %d bytes, %d times", unit, off, got, err, calls.Load(), want, decodes)
		}
	}
	read(1, 5, 10, 10, 1)
	read(1, 5, 10, 10, 0)
	read(1, size-4, 10, 4, 0) // stops at the end of the unit
	read(1, 0, size, size, 1) // a whole unit is decoded into p
	for unit := 2; unit < 2+c.limit; unit++ {
		read(unit, 0, 1, 1, 1)
	}
	if len(c.units) != c.limit {
		t.Errorf("the cache holds %d units, want %d", len(c.units), c.limit)
	}
	read(1+c.limit, 9, 1, 1, 0) // used most recently
	read(1, 0, 1, 1, 1)         // it was evicted
}

// TestCacheSize reads units of several sizes through reused buffers.
func TestCacheSize(t *testing.T) {
	c := NewCache(1 << 20)
	var calls atomic.Int64
	for unit := range 3 * c.limit {
		size := int64(4096 << (unit % 3))
		p := make([]byte, size)
		if n, err := c.Read(p, numbered(unit), 1, size, fill(unit, &calls)); err != nil || int64(n) != size-1 || bytes.Count(p[:n], []byte{byte(unit)}) != n {
			t.Errorf("unit %d: %d bytes, %v", unit, n, err)
		}
	}
}

func TestCacheError(t *testing.T) {
	c := NewCache(4096)
	broken := errors.New("broken")
	for _, n := range []int{1, 4096} {
		if _, err := c.Read(make([]byte, n), numbered(0), 0, 4096, func([]byte) error { return broken }); err != broken {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if len(c.units) != 0 {
		t.Error("the cache kept a unit that failed to decode")
	}
	var calls atomic.Int64
	if n, err := c.Read(make([]byte, 1), numbered(0), 0, 4096, fill(7, &calls)); n != 1 || err != nil {
		t.Errorf("after the failure: %d, %v", n, err)
	}
}

// TestCacheConcurrent has more readers than cache entries. Readers of one unit share a decode, and
// no reader sees the bytes of another unit.
func TestCacheConcurrent(t *testing.T) {
	const size = 1 << 20
	c := NewCache(size)
	readers := 4 * c.limit
	var calls atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range readers {
		wg.Go(func() {
			<-start
			p := make([]byte, 100)
			for round := range 20 {
				unit := (i/2 + round) % (2 * c.limit)
				if n, err := c.Read(p, numbered(unit), 50, size, fill(unit, &calls)); err != nil || n != 100 || bytes.Count(p, []byte{byte(unit)}) != 100 {
					t.Errorf("unit %d: %d bytes, %v", unit, n, err)
				}
			}
		})
	}
	close(start)
	wg.Wait()
	if len(c.units) > c.limit {
		t.Errorf("the cache holds %d units, want at most %d", len(c.units), c.limit)
	}
	for _, u := range c.units {
		if u.users != 0 {
			t.Errorf("unit %d has %d users", u.key.Key, u.users)
		}
	}
	calls.Store(0)
	held := make(chan struct{})
	for range 8 { // all read the same unit
		wg.Go(func() {
			c.Read(make([]byte, 1), numbered(-1), 0, size, func([]byte) error { <-held; calls.Add(1); return nil })
		})
	}
	close(held)
	wg.Wait()
	if n := calls.Load(); n != 1 {
		t.Errorf("decoded %d times for eight readers", n)
	}
}
