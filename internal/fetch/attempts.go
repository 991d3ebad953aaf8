// Package fetch reads files that are on a server, in ranges: with attempts, going on where a
// connection broke, and with a [Reader] that keeps some of a file and reads ahead. It knows no
// protocol. Its callers send the requests.
package fetch

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"github.com/luksimg/luksimg/internal/rest"
)

// Attempts say how often something is tried. The zero value is right where every error that is
// not [Final] may pass.
type Attempts struct {
	Max   int        // in all; 0 is 10, with pauses of a minute or so
	Clock rest.Clock // what waits; nil is that of the system
	// Passing tells whether an error may be gone at the next attempt, and how long the server
	// wants to be left alone until then. It is asked only if [Passing] does not rule it out.
	Passing func(error) (again bool, after time.Duration)
}

// Do calls attempt until it works, or fails for good.
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
// of that at random. A server that names a time gets it, up to two minutes.
func (a Attempts) Wait(ctx context.Context, n int, after time.Duration) error {
	d := min(200*time.Millisecond<<min(n-1, 10), 20*time.Second)
	d = d/2 + rand.N(d/2+1)
	return rest.Sleep(ctx, a.Clock, max(d, min(after, 2*time.Minute)))
}

// A final error is one that no further attempt will change.
type final struct{ error }

func (e *final) Unwrap() error { return e.error }

// Final returns err as one that no further attempt will change. [Attempts.Do] returns err itself.
func Final(err error) error { return &final{err} }

func bare(err error) error {
	if f := new(final); errors.As(err, &f) {
		return f.error
	}
	return err
}

// Passing reports whether an error may be gone at the next attempt, as far as that can be told
// without knowing the server: a connection that was refused or broke.
func Passing(err error) bool {
	return !errors.As(err, new(*final)) && !errors.Is(err, context.Canceled) && !rest.Permanent(err)
}

// A Getter asks for the bytes from off to end of a file, and returns a body that begins at off. A
// body that ends early is gone on with by another request.
type Getter func(ctx context.Context, off, end int64) (io.ReadCloser, error)

const (
	// takeSize is how much is read of the network at a time.
	takeSize = 128 << 10

	// forgiven is after how many bytes of a body a failure counts as the first one.
	forgiven = 1 << 20
)

// Range reads n bytes at off, and gives them to take in order, a buffer at a time, which is used
// again. After a failure it goes on where it was, and returns how many bytes it gave.
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

// A ranged is a range that is being read.
type ranged struct {
	get          Getter
	take         func(b []byte, at int64) error
	off, at, end int64
	buf          []byte
}

// errAgain is a connection that broke after it brought a good deal: all attempts begin anew.
var errAgain = errors.New("connection broke")

// attempt reads on until the end, or until the body ends.
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
