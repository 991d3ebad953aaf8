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

// MaxBody is the default limit of a response in bytes; a [Transport] can set another one.
const MaxBody = 64 << 20

// MaxKeyBody is the limit for key and identity services. Their longest response is a page
// of 200 root keys.
const MaxKeyBody = 1 << 20

// Retry says how often and how fast a request is retried. The zero value selects the defaults.
type Retry struct {
	Attempts int           // total attempts; 0 means 5
	Base     time.Duration // the first wait, doubled each time; 0 means 500 ms
	Max      time.Duration // the longest wait, also for Retry-After; 0 means 30 s
	// Timeout limits one attempt; 0 means a minute.
	Timeout time.Duration
	// Clock is used for waiting; nil means the system clock.
	Clock Clock

	maxBody int64 // copied from the transport
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

// wait returns the wait after attempt n, counted from 0: the value of Retry-After, or else
// a random duration between half and all of the doubled base.
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

// RetryAfter returns the value of the header Retry-After, given in seconds or as a date. ok is false
// if it is missing or malformed.
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

// Response is a completely read response.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	Secret string // the token of the request, or ""
}

// OK reports whether the status is 2xx.
func (r *Response) OK() bool { return r.Status >= 200 && r.Status < 300 }

// A Class says whether a retry can change a response.
type Class int

// The classes of responses.
const (
	Final    Class = iota // a retry gives the same response
	Passing               // a retry can succeed, but this request may have taken effect
	NotBegun              // a retry can succeed, and this request had no effect
)

// Classify returns the class of a response according to its status.
func Classify(r *Response) Class {
	switch {
	case r.Status == http.StatusTooManyRequests:
		return NotBegun
	case r.Status == http.StatusRequestTimeout, r.Status >= 500 && r.Status != http.StatusNotImplemented:
		return Passing
	}
	return Final
}

// do sends a request and retries it. It calls build for each attempt, and returns the last response, whatever
// its status. An error means that there was no response.
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

var errBuild = errors.New("cannot build the request")

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
		return nil, fmt.Errorf("%w: more than %d bytes", ErrAnswer, r.maxBody)
	}
	return &Response{Status: res.StatusCode, Header: res.Header, Body: body}, nil
}
