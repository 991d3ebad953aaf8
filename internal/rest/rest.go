// Package rest is what the clients of cloud services share: which addresses may have a
// credential sent to them, when and how to try again, answers of bounded length, and
// messages of a service made fit for an error.
package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// MaxBody bounds the answer of a service, in bytes.
const MaxBody = 4 << 20

// Retry says how often, and after which waits, a request is tried again. The zero value
// is right.
type Retry struct {
	Attempts int           // in all; 0 is 5
	Base     time.Duration // the first wait, doubled each time; 0 is half a second
	Max      time.Duration // the longest wait, also for what the service asks; 0 is 30 s
	// Timeout bounds one attempt; 0 is a minute.
	Timeout time.Duration
	// Sleep waits, or returns the error of ctx. Nil is the real thing.
	Sleep func(ctx context.Context, d time.Duration) error
	// Now is the clock; nil is the real thing.
	Now func() time.Time
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
	if r.Sleep == nil {
		r.Sleep = sleep
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	return r
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// wait returns how long to wait after try n, counted from 0: what Retry-After says, or
// else between half and all of the doubled base.
func (r Retry) wait(n int, h http.Header) time.Duration {
	if after := h.Get("Retry-After"); after != "" {
		if s, err := strconv.Atoi(after); err == nil && s >= 0 {
			return min(time.Duration(min(s, 1<<20))*time.Second, r.Max)
		}
		if at, err := http.ParseTime(after); err == nil {
			return min(max(at.Sub(r.Now()), 0), r.Max)
		}
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

// Response is the answer to a request, read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// OK reports whether the status is of the 200s.
func (r *Response) OK() bool { return r.Status >= 200 && r.Status < 300 }

// Do sends a request that build makes, anew for each try, and returns the last answer of
// whatever status. An error means there was none.
//
// A request that may be sent twice without harm is idempotent. It is tried again when
// there was no answer, or the status was 429 or of the 500s but 501. Any other only when
// the status was 429, for then the service has not begun with it.
func (r Retry) Do(ctx context.Context, send http.RoundTripper, idempotent bool, build func(ctx context.Context) (*http.Request, error)) (*Response, error) {
	r = r.withDefaults()
	for n := 0; ; n++ {
		res, err := r.once(ctx, send, build)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var header http.Header
		again := false
		if err != nil {
			again = idempotent && !errors.Is(err, errBuild)
		} else {
			header = res.Header
			again = res.Status == 429 || idempotent && res.Status >= 500 && res.Status != 501
		}
		if !again || n+1 >= r.Attempts {
			return res, err
		}
		if err := r.Sleep(ctx, r.wait(n, header)); err != nil {
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
	body, err := io.ReadAll(io.LimitReader(res.Body, MaxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > MaxBody {
		return nil, fmt.Errorf("the answer has more than %d bytes", MaxBody)
	}
	return &Response{res.StatusCode, res.Header, body}, nil
}

// Client turns a client into the sender that Do takes.
type Client struct{ *http.Client }

// RoundTrip sends with the client.
func (c Client) RoundTrip(r *http.Request) (*http.Response, error) { return c.Do(r) }

// Clean makes the message of a service fit for an error: one line of printable
// characters, at most 300 of them, and no secret that was sent to the service, which might
// have come back in it.
func Clean(message string, secrets ...string) string {
	for _, s := range secrets {
		if len(s) >= 4 {
			message = strings.ReplaceAll(message, s, "[redacted]")
		}
	}
	message = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, message)
	if runes := []rune(message); len(runes) > 300 {
		message = string(runes[:300]) + "..."
	}
	return message
}

// Clock returns the clock of r.
func (r Retry) Clock() func() time.Time { return r.withDefaults().Now }
