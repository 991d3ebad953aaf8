package rest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/rest/resttest"
)

// TestError checks the methods of all kinds of errors.
func TestError(t *testing.T) {
	reset := &net.OpError{Op: "read", Err: syscall.ECONNRESET}
	for name, c := range map[string]struct {
		e                        rest.Error
		refused, temporary, lost bool
		hint                     string
	}{
		"refused":              {rest.Error{Status: 400}, true, false, false, ""},
		"not found":            {rest.Error{Status: 404}, true, false, false, ""},
		"redirect":             {rest.Error{Status: 307}, false, false, false, "redirects"},
		"limit":                {rest.Error{Status: 429}, false, true, false, "in a minute"},
		"limit as 500":         {rest.Error{Status: 500, Code: "SoftLayer_Exception_WebService_RateLimitExceeded", Answered: true}, false, true, false, "in a minute"},
		"refused as 500":       {rest.Error{Status: 500, Code: "SoftLayer_Exception_Public", Answered: true}, true, false, false, ""},
		"refused as 200":       {rest.Error{Status: 200, Answered: true}, true, false, false, ""},
		"broken":               {rest.Error{Status: 503}, false, true, true, "retry later"},
		"not an answer":        {rest.Error{Status: 200, Err: rest.ErrAnswer}, false, true, true, ""},
		"reset":                {rest.Error{Err: reset}, false, true, true, "no response"},
		"no connection":        {rest.Error{Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}, false, true, false, "no response"},
		"address":              {rest.Error{Err: rest.ErrAddress}, false, false, false, "no response"},
		"cancelled":            {rest.Error{Err: context.Canceled}, false, true, true, "no response"},
		"token was refused":    {rest.Error{Err: fmt.Errorf("%w: %w", rest.ErrToken, &rest.Error{Status: 400, Advice: "check the key"})}, true, false, false, "check the key"},
		"token did not arrive": {rest.Error{Err: fmt.Errorf("%w: %w", rest.ErrToken, &rest.Error{Err: reset})}, false, true, false, "no response"},
		"not sent":             {rest.Error{Message: "no name"}, false, false, false, ""},
		"advice":               {rest.Error{Status: 503, Advice: "look"}, false, true, true, "look"},
	} {
		c.e.Service, c.e.Op = "vpc", "create image"
		err := error(&c.e)
		if c.e.Refused() != c.refused || c.e.Temporary() != c.temporary || c.e.Lost() != c.lost || !strings.Contains(c.e.Hint(), c.hint) || (c.hint == "") != (c.e.Hint() == "") {
			t.Errorf("%s: refused %v, temporary %v, lost %v, hint %q", name, c.e.Refused(), c.e.Temporary(), c.e.Lost(), c.e.Hint())
		}
		if errors.Is(err, rest.ErrNotFound) != (c.e.Status == 404) || !strings.HasPrefix(err.Error(), "vpc: create image: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCreate checks that Create looks for the result of a lost call before it repeats the call.
func TestCreate(t *testing.T) {
	lost := &rest.Error{Service: "vpc", Op: "create", Status: 503}
	no := &rest.Error{Service: "vpc", Op: "create", Status: 400}
	down := &rest.Error{Service: "vpc", Op: "find", Status: 503}
	denied := &rest.Error{Service: "vpc", Op: "find", Status: 403}
	for name, c := range map[string]struct {
		calls   []error // results of create; nil takes effect
		appears int     // number of the first lookup that finds it; 0 means never
		look    error   // error of find
		sent    int
		want    error // nil: created or found
	}{
		"at once":                    {calls: []error{nil}, sent: 1},
		"refused":                    {calls: []error{no}, sent: 1, want: no},
		"done, and found":            {calls: []error{lost}, appears: 1, sent: 1},
		"done, and found late":       {calls: []error{lost}, appears: 9, sent: 1},
		"not done":                   {calls: []error{lost, nil}, sent: 2},
		"never done":                 {calls: []error{lost, lost, lost}, sent: 3, want: rest.ErrLost},
		"done later than looked for": {calls: []error{lost, no}, appears: 26, sent: 2},
		"cannot look":                {calls: []error{lost}, look: denied, sent: 1, want: rest.ErrLost},
		"cannot look for the moment": {calls: []error{lost}, look: down, sent: 1, want: rest.ErrLost},
		"refused after all":          {calls: []error{lost, no}, sent: 2, want: no},
	} {
		sent, looks := 0, 0
		got, err := rest.Create(t.Context(), rest.Once{Clock: resttest.NewClock(time.Now()), Advice: "look first"}, func() (*int, error) {
			sent++
			if err := c.calls[sent-1]; err != nil {
				return nil, err
			}
			return &sent, nil
		}, func() (*int, error) {
			looks++
			if c.look != nil || c.appears == 0 || looks < c.appears {
				return nil, c.look
			}
			return &looks, nil
		})
		if sent != c.sent || (err == nil) != (c.want == nil) || !errors.Is(err, c.want) || (got != nil) != (err == nil) {
			t.Errorf("%s: sent %d times, %v", name, sent, err)
		}
		if e := new(rest.Error); errors.Is(err, rest.ErrLost) && (!errors.As(err, &e) || e.Hint() != "look first") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPoll checks that a temporary failure is retried, and that other failures end the waiting.
func TestPoll(t *testing.T) {
	busy, no := &rest.Error{Status: 503}, &rest.Error{Status: 403}
	for name, c := range map[string]struct {
		looks []error // the last one is repeated
		polls int
		want  error
	}{
		"done":       {[]error{nil, nil, nil}, 3, nil},
		"busy":       {[]error{busy, busy, busy, busy, nil}, 5, nil},
		"busy often": {[]error{busy, nil, busy, busy, busy, busy, nil}, 7, nil},
		"busy long":  {append(slices.Repeat([]error{busy}, 59), nil), 60, nil},
		"busy twice": {slices.Concat(slices.Repeat([]error{busy}, 50), []error{nil}, slices.Repeat([]error{busy}, 50), []error{nil}), 102, nil},
		"down":       {append(slices.Repeat([]error{busy}, 60), nil), 60, busy},
		"refused":    {[]error{nil, no, nil}, 2, no},
		"too long":   {make([]error, 199), 121, rest.ErrTimeout},
		"at the end": {append(make([]error, 119), busy, busy, busy), 121, busy},
	} {
		n, told := 0, 0
		o := rest.WaitOptions{Timeout: 20 * time.Minute, Progress: func(rest.Progress) { told++ }}
		elapsed, err := rest.Poll(t.Context(), resttest.NewClock(time.Now()), o, func() (rest.Progress, bool, error) {
			n++
			return rest.Progress{}, n == len(c.looks), c.looks[n-1]
		})
		if n != c.polls || err != c.want && !errors.Is(err, c.want) || elapsed != time.Duration(n-1)*10*time.Second || told == 0 && err == nil {
			t.Errorf("%s: %d polls in %v, %v", name, n, elapsed, err)
		}
	}
}

func TestRedact(t *testing.T) {
	for _, c := range []struct {
		message string
		secrets []string
		want    string
	}{
		{"no", []string{"abcd"}, "no"},
		{"key abcd, abcd", []string{"abcd", "xyz!"}, "key [redacted], [redacted]"},
		{"abc", []string{"abc", ""}, "abc"}, // too short for a secret
		{"a\xff\x00bc", []string{"\xff\x00bc"}, "a[redacted]"},
	} {
		var secrets [][]byte
		for _, s := range c.secrets {
			secrets = append(secrets, []byte(s))
		}
		if got := rest.Redact(c.message, secrets...); got != c.want {
			t.Errorf("%q: %q, want %q", c.message, got, c.want)
		}
	}
}
