// Package resttest has a fake clock for tests of clients.
package resttest

import (
	"sync"
	"time"
)

// A Clock is a fake clock. Its time advances immediately when somebody waits for it, and at no other
// time. It is safe for concurrent use.
type Clock struct {
	mu    sync.Mutex
	now   time.Time
	still bool
	waits []time.Duration
}

// NewClock returns a clock that starts at now.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Still returns a clock whose time does not advance for waiters either.
func Still(now time.Time) *Clock { return &Clock{now: now, still: true} }

// Now returns the current time of the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// After advances the clock and returns a channel that already holds a time.
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

// Advance advances the clock by d.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Waits returns the durations of all waits.
func (c *Clock) Waits() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]time.Duration(nil), c.waits...)
}
