package tang

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
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

// TestRequests checks the path, the body and the number of requests.
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
		gone   bool // because it has no such key
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
	if _, err := advertise(); err == nil || rest.Refused(err) || !strings.Contains(rest.Hint(err), "check that the server runs") {
		t.Errorf("down: %v", err)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.Recover(done, s.URL, "kid", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestLargeAnswers checks that the client refuses a response that is too long, compressed or not, without reading all
// of it, and does not retry.
func TestLargeAnswers(t *testing.T) {
	small := gzipOf(t, 1<<20)
	bomb := gzipOf(t, 64<<20)
	var asked int
	var answer func(w http.ResponseWriter)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if got := r.Header.Get("Accept-Encoding"); got != "identity" {
			t.Errorf("Accept-Encoding: %q", got)
		}
		answer(w)
	}))
	defer s.Close()
	send := func(b []byte, encoding ...string) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			for _, e := range encoding {
				w.Header().Add("Content-Encoding", e)
			}
			w.Write(b)
		}
	}
	c := &Client{Retry: rest.Retry{Attempts: 2, Base: time.Nanosecond}}
	for _, a := range []struct {
		name   string
		answer func(w http.ResponseWriter)
		want   string // "" if the response is valid
	}{
		{"gzip of 64 MiB", send(bomb, "gzip"), "Content-Encoding"},
		{"gzip", send(small, "gzip"), "Content-Encoding"},
		{"two encodings", send(small, "identity", "gzip"), "Content-Encoding"},
		{"identity", send(make([]byte, maxBody), "identity"), ""},
		{"one byte more", send(make([]byte, maxBody+1)), "more than 65536 bytes"},
		{"endless", func(w http.ResponseWriter) {
			for b := make([]byte, 32<<10); ; {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		}, "more than 65536 bytes"},
		{"an endless 404", func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusNotFound)
			for b := make([]byte, 32<<10); ; {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		}, "more than 65536 bytes"},
		{"long headers", func(w http.ResponseWriter) { w.Header().Set("X", strings.Repeat("x", 2*maxBody)) }, "headers"},
	} {
		asked, answer = 0, a.answer
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := c.Recover(t.Context(), s.URL, "kid", []byte("{}"))
		runtime.ReadMemStats(&after)
		switch {
		case a.want == "" && (err != nil || len(got) != maxBody):
			t.Errorf("%s: %d bytes, %v", a.name, len(got), err)
		case a.want != "" && (err == nil || !strings.Contains(err.Error(), a.want)):
			t.Errorf("%s: %v", a.name, err)
		case a.want != "headers" && a.want != "" && (asked != 1 || !errors.Is(err, rest.ErrAnswer) || !strings.Contains(rest.Hint(err), "Tang server")):
			t.Errorf("%s: asked %d times, %v, hint %q", a.name, asked, err, rest.Hint(err))
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
			t.Errorf("%s: %d bytes allocated", a.name, n)
		}
	}
}

// gzipOf compresses n zero bytes.
func gzipOf(t *testing.T, n int64) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for ; n > 0; n -= int64(len(zeros)) {
		z.Write(zeros)
	}
	z.Close()
	return b.Bytes()
}
