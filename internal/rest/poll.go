package rest

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// WaitOptions say how to wait for what a service takes minutes for. The zero value polls
// every 10 seconds, for 2 hours.
type WaitOptions struct {
	Interval time.Duration // between polls; zero is 10 seconds
	Timeout  time.Duration // in all; zero is 2 hours

	// Progress, if not nil, is called after each poll, from the goroutine that waits, and with what
	// was found last also after one that had no answer.
	Progress func(Progress)
}

// Progress is what a poll found.
type Progress struct {
	Status  string        // of what is waited for: "pending"
	Step    string        // what is done to it, "" if the service does not tell
	Detail  string        // the service's words
	Elapsed time.Duration // since the waiting began
}

// maxMisses is how many polls in a row may fail before waiting gives up: ten minutes of the usual
// polls, beside the attempts of each. What is waited for goes on meanwhile.
const maxMisses = 60

// Poll calls look until it reports an end, or an error that will not pass. It returns for
// how long it has waited, and [ErrTimeout] if that was too long.
func Poll(ctx context.Context, c Clock, o WaitOptions, look func() (p Progress, done bool, err error)) (time.Duration, error) {
	if o.Interval <= 0 {
		o.Interval = 10 * time.Second
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Hour
	}
	c = ClockOr(c)
	start := c.Now()
	var last Progress
	for misses := 0; ; {
		p, done, err := look()
		elapsed := c.Now().Sub(start)
		switch {
		case err != nil && ctx.Err() != nil:
			return elapsed, context.Cause(ctx)
		case err != nil && (!temporary(err) || misses+1 >= maxMisses):
			return elapsed, err
		case err != nil:
			misses++
			if last.Elapsed, last.Detail = elapsed, "no answer, asking again"; o.Progress != nil {
				o.Progress(last)
			}
		default:
			misses, p.Elapsed, last = 0, elapsed, p
			if o.Progress != nil {
				o.Progress(p)
			}
			if done {
				return elapsed, nil
			}
		}
		if elapsed >= o.Timeout {
			return elapsed, cmp.Or(err, ErrTimeout)
		}
		if err := Sleep(ctx, c, min(o.Interval, o.Timeout-elapsed)); err != nil {
			return elapsed, err
		}
	}
}

func temporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// Once says how something is made that must not be made twice.
type Once struct {
	Clock Clock
	// Settle is how long what a call whose answer was lost may have made is looked for,
	// before the call is sent again; zero is 2 minutes.
	Settle time.Duration
	// Advice is for the error if it was lost for good.
	Advice string
}

const (
	creations  = 3               // how often a call is sent at most
	lookupWait = 5 * time.Second // between two looks
)

// Create calls create until there is an answer. If one is lost, so that it can not be
// told whether the call was done, find looks for what it made; it returns nil if there is
// none. When that is not found for a time, the call is sent again. [ErrLost] means
// that it could not be found out.
func Create[T any](ctx context.Context, o Once, create, find func() (*T, error)) (*T, error) {
	o.Clock = ClockOr(o.Clock)
	if o.Settle <= 0 {
		o.Settle = 2 * time.Minute
	}
	var lost *Error
	for n := 1; ; n++ {
		made, err := create()
		var e *Error
		switch {
		case errors.As(err, &e) && e.Lost():
			lost = e
		case err != nil && lost != nil && ctx.Err() == nil:
			// What was lost may have been done after all, and be why this one was refused.
			if found, errFind := find(); errFind == nil && found != nil {
				return found, nil
			}
			return nil, err
		default:
			return made, err
		}
		found, sure := look(ctx, o, find)
		if found != nil {
			return found, nil
		}
		if !sure || n >= creations {
			return nil, Lost(lost, o.Advice)
		}
	}
}

// look looks for what a call may have made. sure tells that nothing was made, as far as
// can be told.
func look[T any](ctx context.Context, o Once, find func() (*T, error)) (found *T, sure bool) {
	for start := o.Clock.Now(); ; {
		found, err := find()
		switch {
		case err == nil && found != nil:
			return found, true
		case err != nil && !temporary(err):
			return nil, false
		}
		left := o.Settle - o.Clock.Now().Sub(start)
		if left <= 0 {
			return nil, err == nil
		}
		if Sleep(ctx, o.Clock, min(lookupWait, left)) != nil {
			return nil, false
		}
	}
}
