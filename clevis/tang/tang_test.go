package tang

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/internal/rest"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct{ address, want string }{
		{"http://a", "http://a"}, {"http://a/", "http://a"}, {"https://a:81/b/", "https://a:81/b"}, {"http://[::1]:7500", "http://[::1]:7500"},
		{"", ""}, {"a", ""}, {"//a", ""}, {"ftp://a", ""}, {"file:///etc/passwd", ""}, {"http:", ""}, {"http://", ""}, {"http:a", ""},
		{"http://u@a", ""}, {"http://u:p@a", ""}, {"http://a?x", ""}, {"http://a?", ""}, {"http://a#x", ""}, {"http://a\n", ""}, {"unix:///run/x", ""},
	} {
		got, err := check(c.address)
		if got != c.want || (err == nil) != (c.want != "") || err != nil && !errors.Is(err, ErrURL) {
			t.Errorf("%q: %q, %v", c.address, got, err)
		}
	}
}

// TestRequests: what is sent, to which path, and how often.
func TestRequests(t *testing.T) {
	var status, asked int
	var last string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		body, _ := io.ReadAll(r.Body)
		last = r.Method + " " + r.URL.EscapedPath() + " " + r.Header.Get("Content-Type") + " " + string(body)
		if status == http.StatusFound {
			http.Redirect(w, r, "/elsewhere", status)
			return
		}
		w.WriteHeader(status)
		io.WriteString(w, "answer")
	}))
	defer s.Close()
	ctx := context.Background()
	c := &Client{Retry: rest.Retry{Attempts: 2, Base: time.Nanosecond}}
	advertise := func() ([]byte, error) { return c.Advertisement(ctx, s.URL+"/sub/", "") }
	signed := func() ([]byte, error) { return c.Advertisement(ctx, s.URL, "a/b") }
	recover := func() ([]byte, error) { return c.Recover(ctx, s.URL, "kid", []byte("{}")) }
	for _, a := range []struct {
		name   string
		do     func() ([]byte, error)
		status int
		asked  int
		last   string
		good   bool
		no     bool // the server refused
		gone   bool // as it has no such key
	}{
		{"advertise", advertise, 200, 1, "GET /sub/adv  ", true, false, false},
		{"signed", signed, 200, 1, "GET /adv/a%2Fb  ", true, false, false},
		{"recover", recover, 200, 1, "POST /rec/kid application/jwk+json {}", true, false, false},
		{"no server of Tang", advertise, 404, 1, "", false, true, true},
		{"no such key", signed, 404, 1, "", false, true, true},
		{"gone", recover, 404, 1, "", false, true, true},
		{"a bad request", recover, 400, 1, "", false, true, false},
		{"busy", recover, 503, 2, "", false, false, false},
		{"redirected", recover, 302, 1, "", false, false, false},
	} {
		status, asked, last = a.status, 0, ""
		got, err := a.do()
		if a.good && (err != nil || string(got) != "answer") {
			t.Errorf("%s: %q, %v", a.name, got, err)
		}
		if !a.good && (got != nil || !errors.As(err, new(*rest.Error)) || rest.Refused(err) != a.no || errors.Is(err, ErrNoKey) != a.gone || rest.Hint(err) == "" && a.gone) {
			t.Errorf("%s: %q, %v, refused %v, hint %q", a.name, got, err, rest.Refused(err), rest.Hint(err))
		}
		if asked != a.asked || a.last != "" && last != a.last {
			t.Errorf("%s: asked %d times, last %q", a.name, asked, last)
		}
	}
	s.Close()
	if _, err := advertise(); err == nil || rest.Refused(err) || !strings.Contains(rest.Hint(err), "is the server there") {
		t.Errorf("down: %v", err)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.Recover(done, s.URL, "kid", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
