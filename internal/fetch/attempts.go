// Package fetch reads remote files in ranges. It retries, and continues after a broken
// connection. Its [Reader] caches blocks and reads ahead. The package is independent of the
// protocol: its callers send the requests.
package fetch

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/luksimg/luksimg/internal/rest"
)

// Attempts say how often to retry. The zero value is usable if every error except
// a [Final] one can be temporary.
type Attempts struct {
	Max   int        // total attempts; 0 means 10, with about a minute of pauses
	Clock rest.Clock // used for waiting; nil means the system clock
	// Passing reports whether an error can disappear on a retry, and how long the server
	// wants the client to wait. It is called only for errors that the function [Passing] accepts.
	Passing func(error) (again bool, after time.Duration)
}

// Do calls attempt until it succeeds or fails permanently.
func (a Attempts) Do(ctx context.Context, attempt func() error) error {
	return a.do(ctx, attempt, func() bool { return false })
}

// do is Do. After a failure, moved reports whether the attempts are counted from the start again.
func (a Attempts) do(ctx context.Context, attempt func() error, moved func() bool) error {
	for n := 1; ; n++ {
		err := attempt()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		again, after := Passing(err), time.Duration(0)
		if again && a.Passing != nil {
			again, after = a.Passing(err)
		}
		if moved() {
			n = 0
		}
		if !again || n >= a.max() {
			return bare(err)
		}
		if err := a.Wait(ctx, max(n, 1), after); err != nil {
			return err
		}
	}
}

func (a Attempts) max() int {
	if a.Max <= 0 {
		return 10
	}
	return a.Max
}

// Wait waits before attempt n, counted from 1: 200 ms, doubled each time up to 20 s, and half
// of that at random. If the server asks for a time after, Wait waits that long, up to two minutes.
func (a Attempts) Wait(ctx context.Context, n int, after time.Duration) error {
	d := min(200*time.Millisecond<<min(n-1, 10), 20*time.Second)
	d = d/2 + rand.N(d/2+1)
	return rest.Sleep(ctx, a.Clock, max(d, min(after, 2*time.Minute)))
}

// A final error is one that no retry can change.
type final struct{ error }

func (e *final) Unwrap() error { return e.error }

// Final marks err as an error that no retry can change. [Attempts.Do] returns err itself.
func Final(err error) error { return &final{err} }

func bare(err error) error {
	if f := new(final); errors.As(err, &f) {
		return f.error
	}
	return err
}

// Passing reports whether an error can disappear on a retry, without knowledge of the
// server: for example, a connection was refused or broke.
func Passing(err error) bool {
	return !errors.As(err, new(*final)) && !errors.Is(err, context.Canceled) && !rest.Permanent(err)
}
