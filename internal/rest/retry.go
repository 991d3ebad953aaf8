package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// MaxBody bounds the answer of a service, in bytes, unless its [Transport] has another bound.
const MaxBody = 64 << 20

// MaxKeyBody is the bound of the services of keys and identities, whose answers are short: a page
// of 200 root keys is the longest.
const MaxKeyBody = 1 << 20

// Retry says how often, and after which waits, a request is tried again. The zero value
// is right.
type Retry struct {
	Attempts int           // in all; 0 is 5
	Base     time.Duration // the first wait, doubled each time; 0 is half a second
	Max      time.Duration // the longest wait, also for what the service asks; 0 is 30 s
	// Timeout bounds one attempt; 0 is a minute.
	Timeout time.Duration
	// Clock is what waits; nil is that of the system.
	Clock Clock

	maxBody int64 // that of the transport
}

func (r Retry) withDefaults() Retry {
	if r.Attempts <= 0 {
		r.Attempts = 5
	}
	if r.Base <= 0 {
		r.Base = 500 * time.Millisecond
	}
	if r.Max <= 0 {
		r.Max = 30 * time.Second
	}
	if r.Timeout <= 0 {
		r.Timeout = time.Minute
	}
	if r.maxBody <= 0 {
		r.maxBody = MaxBody
	}
	r.Clock = ClockOr(r.Clock)
	return r
}

// wait returns how long to wait after try n, counted from 0: what Retry-After says, or
// else between half and all of the doubled base.
func (r Retry) wait(n int, h http.Header) time.Duration {
	if after, ok := RetryAfter(h, r.Clock.Now()); ok {
		return min(after, r.Max)
	}
	d := r.Base
	for range n {
		if d *= 2; d >= r.Max {
			d = r.Max
			break
		}
	}
	return d/2 + rand.N(d/2+1)
}

// RetryAfter returns how long a service wants to be left alone: its header of that name,
// in seconds or as a date.
func RetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	after := h.Get("Retry-After")
	if s, err := strconv.ParseUint(after, 10, 63); err == nil {
		return time.Duration(min(s, 1<<20)) * time.Second, true
	}
	if at, err := http.ParseTime(after); err == nil {
		return max(at.Sub(now), 0), true
	}
	return 0, false
}

// Response is the answer to a request, read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	Secret string // the token that it was asked for with, "" if there was none
}

// OK reports whether the status is of the 200s.
func (r *Response) OK() bool { return r.Status >= 200 && r.Status < 300 }

// A Class is what an answer says of another attempt.
type Class int

// The classes of answers.
const (
	Final    Class = iota // another attempt gives the same
	Passing               // another attempt may do, but this one may have been done
	NotBegun              // another attempt may do, and this one was not begun
)

// Classify returns the class of an answer by its status.
func Classify(r *Response) Class {
	switch {
	case r.Status == http.StatusTooManyRequests:
		return NotBegun
	case r.Status == http.StatusRequestTimeout, r.Status >= 500 && r.Status != http.StatusNotImplemented:
		return Passing
	}
	return Final
}

// do sends a request that build makes, anew for each try, and returns the last answer of
// whatever status. An error means there was none.
func (r Retry) do(ctx context.Context, send http.RoundTripper, class func(*Response) Class, idempotent bool, build func(ctx context.Context) (*http.Request, error)) (*Response, error) {
	r = r.withDefaults()
	for n := 0; ; n++ {
		res, err := r.once(ctx, send, build)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var header http.Header
		again := false
		if err != nil {
			again = idempotent && !errors.Is(err, errBuild) && !errors.Is(err, ErrAddress) && !errors.Is(err, ErrAnswer) && !Permanent(err)
		} else {
			header = res.Header
			switch class(res) {
			case NotBegun:
				again = true
			case Passing:
				again = idempotent
			}
		}
		if !again || n+1 >= r.Attempts {
			return res, err
		}
		if err := Sleep(ctx, r.Clock, r.wait(n, header)); err != nil {
			return nil, err
		}
	}
}

var errBuild = errors.New("cannot make the request")

func (r Retry) once(ctx context.Context, send http.RoundTripper, build func(ctx context.Context) (*http.Request, error)) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	req, err := build(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBuild, err)
	}
	res, err := send.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, r.maxBody+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > r.maxBody {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrAnswer, r.maxBody)
	}
	return &Response{Status: res.StatusCode, Header: res.Header, Body: body}, nil
}
