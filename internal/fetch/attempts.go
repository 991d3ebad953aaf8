// Package fetch reads remote files in ranges. It retries, and continues after a broken
// connection. Its [Reader] caches blocks and reads ahead. The package is independent of the
// protocol: its callers send the requests.
package fetch

import (
	"context"
	"errors"
	"io"
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
		if !again || n >= a.max() {
			return bare(err)
		}
		if err := a.Wait(ctx, n, after); err != nil {
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

// A Getter requests the bytes from off to end of a file, and returns a body that begins at off. If the
// body ends early, the caller sends another request.
type Getter func(ctx context.Context, off, end int64) (io.ReadCloser, error)

const (
	// takeSize is the size of one read in bytes.
	takeSize = 128 << 10

	// forgiven is the number of bytes after which a failure counts as the first one again.
	forgiven = 1 << 20
)

// Range reads n bytes at off, and passes them to take in order in a reused buffer. After a failure
// it continues at the same offset. It returns the number of bytes passed to take.
func (a Attempts) Range(ctx context.Context, get Getter, off, n int64, take func(b []byte, at int64) error) (int64, error) {
	r := ranged{get: get, take: take, off: off, at: off, end: off + n, buf: make([]byte, min(takeSize, n))}
	for {
		before := r.at
		err := a.Do(ctx, func() error { return r.attempt(ctx, before) })
		if err != errAgain {
			return r.at - off, err
		}
		if err := a.Wait(ctx, 1, 0); err != nil {
			return r.at - off, err
		}
	}
}

// A ranged is the state of one call of Range.
type ranged struct {
	get          Getter
	take         func(b []byte, at int64) error
	off, at, end int64
	buf          []byte
}

// errAgain means that a connection broke after much progress, so that the attempts are counted again.
var errAgain = errors.New("connection broke")

// attempt reads until the end of the range or of the body.
func (r *ranged) attempt(ctx context.Context, before int64) error {
	if r.at == r.end {
		return nil
	}
	body, err := r.get(ctx, r.at, r.end)
	if err != nil {
		return err
	}
	defer body.Close()
	for r.at < r.end {
		k, err := io.ReadFull(body, r.buf[:min(int64(len(r.buf)), r.end-r.at)])
		if k > 0 {
			if e := r.take(r.buf[:k], r.at); e != nil {
				return Final(e)
			}
			r.at += int64(k)
		}
		if r.at == r.end || err == nil {
			continue
		}
		if r.at-before >= forgiven {
			return Final(errAgain)
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return &BrokenError{r.at - r.off, r.end - r.off, err}
	}
	return nil
}
