// Package resttest has a clock for tests of clients, on which nobody waits.
package resttest

import (
	"sync"
	"time"
)

// A Clock is one whose time passes as soon as somebody waits for it, and at no other
// time. It is safe for concurrent use.
type Clock struct {
	mu    sync.Mutex
	now   time.Time
	still bool
	waits []time.Duration
}

// NewClock returns a clock that starts at now.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Still returns a clock whose time does not pass for those who wait either.
func Still(now time.Time) *Clock { return &Clock{now: now, still: true} }

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// After returns a channel that has a time already.
func (c *Clock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits = append(c.waits, d)
	if !c.still {
		c.now = c.now.Add(d)
	}
	ch := make(chan time.Time, 1)
	ch <- c.now
	return ch
}

// Advance lets time pass.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Waits returns for how long it was waited, each time.
func (c *Clock) Waits() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]time.Duration(nil), c.waits...)
}
