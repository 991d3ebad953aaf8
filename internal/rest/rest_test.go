package rest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/internal/rest"
)

func TestCheckURL(t *testing.T) {
	for _, good := range []string{"https://iam.cloud.ibm.com", "https://x:8443/path", "http://127.0.0.1:1234", "http://localhost", "http://[::1]:5"} {
		if got, err := rest.CheckURL(good + "/"); err != nil || got != good {
			t.Errorf("%s: %s, %v", good, got, err)
		}
	}
	for _, bad := range []string{"", "iam.cloud.ibm.com", "http://iam.cloud.ibm.com", "http://127.0.0.1.evil.com", "https://u:p@x", "https://x?q", "https://x#f", "ftp://x", "https:x", "https://", "http://10.0.0.1", "://"} {
		if got, err := rest.CheckURL(bad); !errors.Is(err, rest.ErrAddress) {
			t.Errorf("%s: %s, %v", bad, got, err)
		}
	}
}

// answers gives one answer after the other: a status with a Retry-After, or an error.
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
		waits      []time.Duration // -1: by the base
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
		var waits []time.Duration
		r := rest.Retry{Now: func() time.Time { return now }, Sleep: func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }}
		res, err := r.Do(context.Background(), a, c.idempotent, func(ctx context.Context) (*http.Request, error) {
			return http.NewRequestWithContext(ctx, "POST", "https://x", nil)
		})
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

func TestRetryCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	a := &answers{list: make([]answer, 9)}
	_, err := rest.Retry{Sleep: func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }}.Do(ctx, a, true,
		func(ctx context.Context) (*http.Request, error) {
			return http.NewRequestWithContext(ctx, "GET", "https://x", nil)
		})
	if !errors.Is(err, context.Canceled) || a.n != 1 {
		t.Errorf("%v after %d tries", err, a.n)
	}
}

func TestLongAnswer(t *testing.T) {
	long := sender(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(endless{})}, nil
	})
	_, err := rest.Retry{Attempts: 1}.Do(context.Background(), long, true, func(ctx context.Context) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, "GET", "https://x", nil)
	})
	if err == nil || !strings.Contains(err.Error(), "more than") {
		t.Error(err)
	}
}

type sender func(*http.Request) (*http.Response, error)

func (s sender) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestClean(t *testing.T) {
	got := rest.Clean("no\nsuch \x1b[31mkey c2VjcmV0 "+strings.Repeat("x", 400), "c2VjcmV0", "")
	if !strings.HasPrefix(got, "no such [31mkey [redacted] xxx") || len(got) > 310 {
		t.Errorf("%q", got)
	}
}
