package rest

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// WaitOptions are the settings for waiting for a long operation. The zero value polls
// every 10 seconds for up to 2 hours.
type WaitOptions struct {
	Interval time.Duration // between polls; zero means 10 seconds
	Timeout  time.Duration // in total; zero means 2 hours

	// Progress, if not nil, is called after each poll, from the waiting goroutine. After a poll without
	// a response it receives the result of the last successful one.
	Progress func(Progress)
}

// Progress is the result of a poll.
type Progress struct {
	Status  string        // status of the resource: "pending"
	Step    string        // current step, "" if unknown
	Detail  string        // message of the service
	Elapsed time.Duration // since waiting began
}

// maxMisses is the number of consecutive failed polls after which Poll gives up: ten minutes at the default
// interval, not counting the retries of each poll.
const maxMisses = 60

// Poll calls look until it reports done or returns a permanent error. It returns the
// elapsed time, and [ErrTimeout] if that exceeds the timeout.
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
			if last.Elapsed, last.Detail = elapsed, "no response, retrying"; o.Progress != nil {
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

// Once are the settings for creating a resource exactly once.
type Once struct {
	Clock Clock
	// Settle is how long to look for the result of a call whose reply was lost,
	// before the call is sent again; zero means 2 minutes.
	Settle time.Duration
	// Advice is the hint of the [ErrLost] error.
	Advice string
}

const (
	creations  = 3               // maximum number of calls
	lookupWait = 5 * time.Second // between two lookups
)

// Create calls create until there is a response. If a reply is lost, it calls find to look for the
// created resource; find returns nil if it does not exist. If find returns nil for the Settle time,
// Create calls create again. [ErrLost] means that the outcome could not be determined.
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
			// The call with the lost reply may have taken effect and be the reason for this refusal.
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

// look looks for the result of a call. sure reports that the call made nothing, as far as
// can be determined.
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
