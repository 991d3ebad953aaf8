package rest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/rest/resttest"
)

// answers returns one answer after the other: a status with a Retry-After, or an error.
type answers struct {
	list []answer
	n    int
}

type answer struct {
	status int
	after  string
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	next := a.list[a.n]
	a.n++
	if next.status == 0 {
		return nil, errors.New("connection reset")
	}
	h := http.Header{}
	if next.after != "" {
		h.Set("Retry-After", next.after)
	}
	return &http.Response{StatusCode: next.status, Header: h, Body: io.NopCloser(strings.NewReader("x"))}, nil
}

func TestRetry(t *testing.T) {
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		list       []answer
		idempotent bool
		status     int // 0: an error
		tries      int
		waits      []time.Duration // -1 means computed from the base
	}{
		"good at once":            {[]answer{{200, ""}}, true, 200, 1, nil},
		"refused":                 {[]answer{{403, ""}}, true, 403, 1, nil},
		"429 and seconds":         {[]answer{{429, "7"}, {200, ""}}, false, 200, 2, []time.Duration{7 * time.Second}},
		"429 and a date":          {[]answer{{429, now.Add(9 * time.Second).Format(http.TimeFormat)}, {200, ""}}, true, 200, 2, []time.Duration{9 * time.Second}},
		"429 and a date gone":     {[]answer{{429, now.Add(-time.Hour).Format(http.TimeFormat)}, {200, ""}}, true, 200, 2, []time.Duration{0}},
		"429 and too long":        {[]answer{{429, "86400"}, {200, ""}}, true, 200, 2, []time.Duration{30 * time.Second}},
		"429 and rubbish":         {[]answer{{429, "soon"}, {200, ""}}, true, 200, 2, []time.Duration{-1}},
		"500":                     {[]answer{{500, ""}, {503, ""}, {200, ""}}, true, 200, 3, []time.Duration{-1, -1}},
		"500 and not idempotent":  {[]answer{{500, ""}}, false, 500, 1, nil},
		"501":                     {[]answer{{501, ""}}, true, 501, 1, nil},
		"reset":                   {[]answer{{}, {200, ""}}, true, 200, 2, []time.Duration{-1}},
		"reset, not idempotent":   {[]answer{{}}, false, 0, 1, nil},
		"500 for ever":            {slices.Repeat([]answer{{500, ""}}, 9), true, 500, 5, []time.Duration{-1, -1, -1, -1}},
		"no connection, for ever": {make([]answer, 9), true, 0, 5, []time.Duration{-1, -1, -1, -1}},
	} {
		a := &answers{list: c.list}
		clock := resttest.Still(now)
		res, err := ask(t.Context(), &rest.Transport{Next: a, Retry: rest.Retry{Clock: clock}}, c.idempotent)
		waits := clock.Waits()
		if (err != nil) != (c.status == 0) || err == nil && res.Status != c.status || a.n != c.tries || len(waits) != len(c.waits) {
			t.Errorf("%s: %+v, %v after %d tries, waits %v", name, res, err, a.n, waits)
			continue
		}
		base := 500 * time.Millisecond
		for i, w := range c.waits {
			if w >= 0 && waits[i] != w || w < 0 && (waits[i] < base<<i/2 || waits[i] > base<<i) {
				t.Errorf("%s: wait %d is %v", name, i, waits[i])
			}
		}
	}
}

// ask sends a POST.
func ask(ctx context.Context, send *rest.Transport, idempotent bool) (*rest.Response, error) {
	if idempotent {
		ctx = rest.Idempotent(ctx)
	}
	req, err := http.NewRequestWithContext(ctx, "POST", "https://x", strings.NewReader("body"))
	if err != nil {
		return nil, err
	}
	return send.Send(req)
}

func TestRetryCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	n := 0
	broken := sender(func(*http.Request) (*http.Response, error) {
		n++
		cancel(enough)
		return nil, errors.New("connection reset")
	})
	if _, err := ask(ctx, &rest.Transport{Next: broken}, true); err != enough || n != 1 {
		t.Errorf("%v after %d tries", err, n)
	}
}

// TestMethods checks that idempotent methods are retried.
func TestMethods(t *testing.T) {
	for method, want := range map[string]int{"GET": 2, "HEAD": 2, "PUT": 2, "DELETE": 2, "POST": 1, "PATCH": 1} {
		a := &answers{list: []answer{{503, ""}, {200, ""}}}
		req, err := http.NewRequest(method, "https://x", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (&rest.Transport{Next: a, Retry: rest.Retry{Clock: resttest.NewClock(time.Now())}}).Send(req); err != nil || a.n != want {
			t.Errorf("%s: sent %d times, %v", method, a.n, err)
		}
	}
}

// TestBodyAgain checks that each attempt has the complete body and its own header.
func TestBodyAgain(t *testing.T) {
	var got []string
	send := sender(func(r *http.Request) (*http.Response, error) {
		b, _ := io.ReadAll(r.Body)
		got = append(got, string(b)+" "+r.Header.Get("Authorization"))
		status := 503
		if len(got) == 3 {
			status = 200
		}
		return &http.Response{StatusCode: status, Body: http.NoBody}, nil
	})
	tokens := &renewing{}
	res, err := ask(t.Context(), &rest.Transport{Next: send, Tokens: tokens, Retry: rest.Retry{Clock: resttest.NewClock(time.Now())}}, true)
	if err != nil || !res.OK() || res.Secret != "t1" || !slices.Equal(got, []string{"body Bearer t1", "body Bearer t1", "body Bearer t1"}) {
		t.Errorf("sent %q, error %v", got, err)
	}
}

// renewing returns another token after each dropped one.
type renewing struct{ n int }

func (r *renewing) Token(context.Context) (rest.Token, error) {
	return rest.NewToken(fmt.Sprintf("t%d", r.n+1), time.Time{}), nil
}
func (r *renewing) Drop(rest.Token) { r.n++ }

// TestRenew checks that a refused token is renewed once, whatever the method.
func TestRenew(t *testing.T) {
	for _, c := range []struct {
		good   string
		status int
		sent   int
	}{{"t1", 200, 1}, {"t2", 200, 2}, {"t3", 401, 2}} {
		n := 0
		send := sender(func(r *http.Request) (*http.Response, error) {
			n++
			if r.Header.Get("Authorization") == "Bearer "+c.good {
				return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
			}
			return &http.Response{StatusCode: 401, Body: http.NoBody}, nil
		})
		res, err := ask(t.Context(), &rest.Transport{Next: send, Tokens: &renewing{}}, false)
		if err != nil || res.Status != c.status || n != c.sent {
			t.Errorf("%s: %+v after %d requests, %v", c.good, res, n, err)
		}
	}
}

func TestLongAnswer(t *testing.T) {
	long := sender(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(endless{})}, nil
	})
	if _, err := ask(t.Context(), &rest.Transport{Next: long, Retry: rest.Retry{Attempts: 1}}, true); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Error(err)
	}
}

type sender func(*http.Request) (*http.Response, error)

func (s sender) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestClean(t *testing.T) {
	got := rest.Clean("no\nsuch \x1b[31mkey c2VjcmV0 "+strings.Repeat("x", 700), "c2VjcmV0", "")
	if !strings.HasPrefix(got, "no such [31mkey [redacted] xxx") || len(got) > 610 {
		t.Errorf("Clean: got %q", got)
	}
}
