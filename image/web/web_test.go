package web_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/image/web"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/rest/resttest"
)

const mib = 1 << 20

// TestSource checks the Source contract with several servers.
func TestSource(t *testing.T) {
	for _, size := range []int64{0, 1, 511, mib, 5*mib + 77} {
		s := newServer(t, imagetest.Noise(size, uint64(size)))
		f := s.must(t, web.Options{})
		imagetest.Source(t, f, s.b)
		if f.Size() != size || !f.Ranges() || f.Base() != "disk.raw" || f.Name() != s.URL+"/images/disk.raw" {
			t.Errorf("%d bytes: %d, %v, %s, %s", size, f.Size(), f.Ranges(), f.Base(), f.Name())
		}
	}
	s := newServer(t, imagetest.Noise(3*mib, 1))
	s.breaks(func(w http.ResponseWriter, r *http.Request) { // no ranges, and a short file
		w.Header().Set("Content-Length", fmt.Sprint(len(s.b)))
		w.Write(s.b)
	})
	imagetest.Source(t, s.must(t, web.Options{}), s.b)
}

// TestHeaders checks that requests carry no credentials, cookies, referrer or compression, and that
// they demand the version.
func TestHeaders(t *testing.T) {
	s := newServer(t, imagetest.Noise(3*mib, 2))
	f, err := s.openPath(t, "/disk?token=secret", web.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.breaks(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		if !strings.HasPrefix(r.URL.Path, "/to") {
			http.Redirect(w, r, "/to", http.StatusFound)
		}
	})
	if _, err := f.ReadAt(make([]byte, 3*mib), 0); err != nil {
		t.Fatal(err)
	}
	for _, h := range s.headers {
		for _, name := range []string{"Authorization", "Cookie", "Referer", "Proxy-Authorization"} {
			if h.Get(name) != "" {
				t.Errorf("it sends %s: %s", name, h.Get(name))
			}
		}
		if h.Get("Accept-Encoding") != "identity" || h.Get("Range") == "" {
			t.Errorf("it sends %v", h)
		}
	}
	if last := s.headers[len(s.headers)-1]; last.Get("If-Match") != `"one"` {
		t.Errorf("conditions of the request: %v", last)
	}
	if strings.Contains(f.Name(), "secret") {
		t.Error(f.Name())
	}
}

// TestFaults checks that the whole file is read correctly despite temporary faults.
func TestFaults(t *testing.T) {
	s := newServer(t, imagetest.Noise(20*mib+5, 3))
	rnd := func(n int) bool { return rand.IntN(n) == 0 }
	status := func(n int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if rnd(2) {
				for i := 0; i < len(header); i += 2 {
					w.Header().Set(header[i], header[i+1])
				}
				w.WriteHeader(n)
			}
		}
	}
	for name, fault := range map[string]http.HandlerFunc{
		"sound":       nil,
		"500":         status(500),
		"503":         status(503, "Retry-After", "7"),
		"429":         status(429, "Retry-After", "Thu, 01 Jan 1970 00:01:00 GMT"),
		"408":         status(408),
		"resets":      func(w http.ResponseWriter, r *http.Request) { s.file(&cut{w, rand.IntN(4 * mib)}, r); w.Write(nil) },
		"no answer":   func(w http.ResponseWriter, r *http.Request) { abort(rnd(2)) },
		"short range": func(w http.ResponseWriter, r *http.Request) { shorter(s, w, r) },
		"whole file at times": func(w http.ResponseWriter, r *http.Request) {
			if rnd(2) {
				r.Header.Del("Range")
			}
		},
		"stalls": func(w http.ResponseWriter, r *http.Request) {
			if rnd(4) {
				s.file(&stuck{w, rand.IntN(4 * mib), r.Context()}, r)
			}
		},
		"stalls before it answers": func(w http.ResponseWriter, r *http.Request) {
			if rnd(4) {
				<-r.Context().Done()
			}
		},
		"no If-Match":   func(w http.ResponseWriter, r *http.Request) { r.Header.Del("If-Match") },
		"unknown size":  func(w http.ResponseWriter, r *http.Request) { starSize(s, w, r) },
		"longer bodies": func(w http.ResponseWriter, r *http.Request) { longer(s, w, r) },
	} {
		s.breaks(nil)
		o := web.Options{Attempts: 40}
		if strings.HasPrefix(name, "stalls") {
			o.Stall = 300 * time.Millisecond
		}
		f := s.must(t, o)
		s.breaks(fault)
		got := make([]byte, len(s.b))
		if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, s.b) {
			t.Errorf("%s: %v", name, err)
		}
		b, err := io.ReadAll(f.Stream(t.Context()))
		if err != nil || !bytes.Equal(b, s.b) {
			t.Errorf("%s: Stream: %d bytes, %v", name, len(b), err)
		}
		f.Close()
	}
}

// TestParts reads from a server that answers each request with at most 64 KiB: without pauses, if
// each answer is whole and of the same version.
func TestParts(t *testing.T) {
	const size, most = 5*mib + 77, 64 << 10
	s := newServer(t, imagetest.Noise(size, 9))
	answer := func(first, all int64, b []byte, etag string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Etag", etag)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, first+most-1, all))
			w.WriteHeader(206)
			http.NewResponseController(w).Flush() // so that there is no Content-Length
			w.Write(b)
		}
	}
	k := resttest.NewClock(time.Unix(0, 0))
	f := s.must(t, web.Options{Attempts: 1, Clock: k})
	parts := func(w http.ResponseWriter, r *http.Request) {
		first, last := part(r)
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, min(last, first+most-1)))
	}
	s.breaks(parts)
	got := make([]byte, size)
	if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, s.b) {
		t.Errorf("ReadAt: %v", err)
	}
	before := s.requests.Load()
	if b, err := io.ReadAll(f.Stream(t.Context())); err != nil || !bytes.Equal(b, s.b) {
		t.Errorf("Stream: %d bytes, %v", len(b), err)
	}
	if n := s.requests.Load() - before; n != (size+most-1)/most || len(k.Waits()) != 0 {
		t.Errorf("Stream: %d requests, pauses %v", n, k.Waits())
	}
	for name, c := range map[string]struct {
		second http.HandlerFunc // the answer from byte 65536
		want   error
		pauses int
	}{
		"no bytes":        {answer(most, size, nil, `"one"`), io.ErrUnexpectedEOF, 2},
		"another start":   {answer(most-1, size, s.b[most-1:][:most], `"one"`), web.ErrAnswer, 0},
		"another size":    {answer(most, size+1, s.b[most:][:most], `"one"`), image.ErrChanged, 0},
		"another version": {answer(most, size, s.b[most:][:most], `"two"`), image.ErrChanged, 0},
	} {
		k := resttest.NewClock(time.Unix(0, 0))
		s.breaks(nil)
		f := s.must(t, web.Options{Attempts: 3, Clock: k})
		s.breaks(func(w http.ResponseWriter, r *http.Request) {
			if first, _ := part(r); first == most {
				c.second(w, r)
				return
			}
			parts(w, r)
		})
		b, err := io.ReadAll(f.Stream(t.Context()))
		if !errors.Is(err, c.want) || !bytes.Equal(b, s.b[:most]) || len(k.Waits()) != c.pauses {
			t.Errorf("%s: %d bytes, %v, pauses %v", name, len(b), err, k.Waits())
		}
	}
}

func abort(now bool) {
	if now {
		panic(http.ErrAbortHandler)
	}
}

// shorter replies with a shorter range than requested, which a server is allowed to do.
func shorter(s *server, w http.ResponseWriter, r *http.Request) {
	first, last := part(r)
	last = min(last, first+2*mib, int64(len(s.b)-1))
	w.Header().Set("Etag", s.etag)
	w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(s.b)))
	w.WriteHeader(206)
	w.Write(s.b[first : last+1])
}

// starSize replies without the length of the file.
func starSize(s *server, w http.ResponseWriter, r *http.Request) {
	first, last := part(r)
	w.Header().Set("Etag", s.etag)
	w.Header().Set("Content-Range", fmt.Sprintf("BYTES %d-%d/*", first, last))
	w.WriteHeader(206)
	w.Write(s.b[first : last+1])
}

// longer sends more bytes than it announces and than were requested.
func longer(s *server, w http.ResponseWriter, r *http.Request) {
	first, last := part(r)
	w.Header().Set("Etag", s.etag)
	w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(s.b)))
	w.WriteHeader(206)
	w.Write(s.b[first : last+1])
	for junk := make([]byte, mib); ; {
		if _, err := w.Write(junk); err != nil {
			return
		}
	}
}

// stuck sends some bytes and then nothing until the client disconnects.
type stuck struct {
	http.ResponseWriter
	left int
	ctx  context.Context
}

func (c *stuck) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.ResponseWriter.Write(p[:n])
	if c.left -= n; n < len(p) {
		http.NewResponseController(c.ResponseWriter).Flush()
		<-c.ctx.Done()
		panic(http.ErrAbortHandler)
	}
	return n, nil
}

// TestChanged checks that an open File never reads another version, whichever conditions the server
// honors.
func TestChanged(t *testing.T) {
	for name, change := range map[string]func(s *server) http.HandlerFunc{
		"ETag, 412":     func(s *server) http.HandlerFunc { s.etag = `"two"`; return nil },
		"ETag, ignored": func(s *server) http.HandlerFunc { s.etag = `"two"`; return ignores },
		"weak ETag": func(s *server) http.HandlerFunc {
			s.etag = `W/"two"`
			return ignores
		},
		"time":             func(s *server) http.HandlerFunc { s.etag = ""; s.mtime = s.mtime.Add(time.Second); return ignores },
		"time, 412":        func(s *server) http.HandlerFunc { s.etag = ""; s.mtime = s.mtime.Add(time.Second); return nil },
		"length":           func(s *server) http.HandlerFunc { s.b = s.b[:len(s.b)-1]; return nil },
		"gone":             func(s *server) http.HandlerFunc { s.b = nil; return nil },
		"no word of it":    func(s *server) http.HandlerFunc { s.etag, s.mtime = "", time.Time{}; return ignores },
		"another, no more": func(s *server) http.HandlerFunc { s.etag = `"two"`; return whole },
	} {
		s := newServer(t, imagetest.Noise(20*mib, 4))
		f := s.must(t, web.Options{})
		if _, err := f.ReadAt(make([]byte, 1), 0); err != nil {
			t.Fatal(err)
		}
		s.breaks(change(s))
		before := s.requests.Load()
		if _, err := f.ReadAt(make([]byte, 1), 10*mib); !errors.Is(err, image.ErrChanged) || s.requests.Load() != before+1 {
			t.Errorf("%s: %v after %d requests", name, err, s.requests.Load()-before)
		}
		if _, err := io.Copy(io.Discard, f.Stream(t.Context())); !errors.Is(err, image.ErrChanged) {
			t.Errorf("%s, Stream: %v", name, err)
		}
	}
}

func ignores(_ http.ResponseWriter, r *http.Request) {
	r.Header.Del("If-Match")
	r.Header.Del("If-Unmodified-Since")
}

func whole(w http.ResponseWriter, r *http.Request) {
	ignores(w, r)
	r.Header.Del("Range")
}

// TestAnswers checks that a response that does not fit the request is an error, and that none of
// its bytes are used.
func TestAnswers(t *testing.T) {
	says := func(status int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"one"`)
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			w.Write(make([]byte, 100))
		}
	}
	const size = 20 * mib
	for name, c := range map[string]struct {
		fault http.HandlerFunc
		want  error
		once  bool // it is not retried
	}{
		"no range":       {says(206), web.ErrAnswer, true},
		"wrong unit":     {says(206, "Content-Range", "lines 10485760-10485760/20971520"), web.ErrAnswer, true},
		"wrong first":    {says(206, "Content-Range", "bytes 10485761-10485860/20971520"), web.ErrAnswer, true},
		"too much":       {says(206, "Content-Range", "bytes 10485760-11534336/20971520"), web.ErrAnswer, true},
		"backwards":      {says(206, "Content-Range", "bytes 10485760-10485759/20971520"), web.ErrAnswer, true},
		"past the end":   {says(206, "Content-Range", "bytes 10485760-20971520/20971520"), web.ErrAnswer, true},
		"sign":           {says(206, "Content-Range", "bytes +10485760-10485859/20971520"), web.ErrAnswer, true},
		"huge":           {says(206, "Content-Range", "bytes 10485760-99999999999999999999/*"), web.ErrAnswer, true},
		"another size":   {says(206, "Content-Range", "bytes 10485760-10485859/20971521"), image.ErrChanged, true},
		"lying length":   {says(206, "Content-Range", "bytes 10485760-10485860/20971520", "Content-Length", "100"), web.ErrAnswer, true},
		"several ranges": {says(206, "Content-Type", `multipart/byteranges; boundary="x"`, "Content-Range", "bytes 10485760-10485859/20971520"), web.ErrAnswer, true},
		"gzip":           {says(206, "Content-Encoding", "gzip", "Content-Range", "bytes 10485760-10485859/20971520"), web.ErrAnswer, true},
		"two encodings":  {says(206, "Content-Encoding", "gzip, br", "Content-Range", "bytes 10485760-10485859/20971520"), web.ErrAnswer, true},
		"200":            {whole, web.ErrNoRanges, false},
		"200 of another": {says(200, "Content-Length", "100"), image.ErrChanged, true},
		"204":            {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }, nil, true},
		"304":            {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(304) }, nil, true},
		"401":            {says(401, "Www-Authenticate", "Basic"), nil, true},
		"404":            {says(404), rest.ErrNotFound, true},
		"416":            {says(416), image.ErrChanged, true},
		"500":            {says(500), nil, false},
		"no place":       {says(302), web.ErrURL, true},
	} {
		s := newServer(t, imagetest.Noise(size, 5))
		f := s.must(t, web.Options{Attempts: 4})
		s.breaks(c.fault)
		p := []byte{1, 2, 3}
		n, err := f.ReadAt(p, 10*mib)
		tries := s.requests.Load() - 1
		if n != 0 || err == nil || c.want != nil && !errors.Is(err, c.want) || c.once != (tries == 1) || !c.once && tries != 4 {
			t.Errorf("%s: %d bytes, %v after %d requests", name, n, err, tries)
		}
		if err != nil && !strings.HasPrefix(err.Error(), f.Name()+": ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOpen checks what Open reports about the file, and its errors.
func TestOpen(t *testing.T) {
	says := func(status int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
		}
	}
	s := newServer(t, imagetest.Noise(1000, 6))
	for name, c := range map[string]struct {
		fault http.HandlerFunc
		want  error
		text  string
		hint  string
	}{
		"401":          {says(401), nil, "unauthorized (HTTP 401)", "credentials"},
		"403":          {says(403), nil, "forbidden", "credentials"},
		"404":          {says(404), rest.ErrNotFound, "not found", "address"},
		"503":          {says(503), nil, "service unavailable", ""},
		"no size":      {says(206, "Content-Range", "bytes 0-0/*"), web.ErrAnswer, `"bytes 0-0/*"`, ""},
		"another byte": {says(206, "Content-Range", "bytes 1-1/10", "Content-Length", "1"), web.ErrAnswer, "first byte", ""},
		"416":          {says(416, "Content-Range", "bytes */10"), web.ErrAnswer, "416", ""},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			for junk := make([]byte, mib); ; {
				if _, err := w.Write(junk); err != nil {
					return
				}
			}
		}, nil, "length", "curl"},
		"gzip": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(make([]byte, 10))
		}, web.ErrAnswer, "gzip", ""},
	} {
		s.breaks(c.fault)
		_, err := s.open(t, web.Options{Attempts: 2})
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || !strings.Contains(rest.Hint(err), c.hint) {
			t.Errorf("%s: %v; %s", name, err, rest.Hint(err))
		}
	}
	s.breaks(nil)
	// The default transport trusts only certificates that the system trusts.
	_, err := web.Open(t.Context(), s.URL+"/x", web.Options{Attempts: 3})
	if err == nil || !strings.Contains(rest.Hint(err), "SSL_CERT_FILE") {
		t.Errorf("an untrusted certificate: %v; %s", err, rest.Hint(err))
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("boom"))
	if _, err := web.Open(ctx, s.URL+"/x", web.Options{}); err == nil || err.Error() != "boom" {
		t.Errorf("cancelled: %v", err)
	}
}

// TestAddresses checks that bad addresses are refused before anything is sent.
func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"http://example.com/disk":                 "http is not encrypted",
		"HTTP://example.com/disk":                 "http is not encrypted",
		"http://127.0.0.1.example.com/":           "http is not encrypted",
		"http://localhost.example.com/":           "http is not encrypted",
		"ftp://example.com/disk":                  "scheme is not https",
		"file:///etc/passwd":                      "scheme is not https",
		"https:///disk":                           "host is missing",
		"https://:443/disk":                       "host is missing",
		"https://user@example.com/":               "user",
		"https://u:hush@example.com/":             "user",
		"https://example.com/disk#part":           "fragment",
		"https://example.com/disk#":               "fragment",
		"https:example.com":                       "host is missing",
		"https://exa mple.com/hush":               "invalid URL syntax",
		"https://example.com/%zz?hush":            "invalid URL syntax",
		"https://example.com/\nhush":              "invalid URL syntax",
		"https://x/" + strings.Repeat("y", 20000): "https://x/...: address not accepted: length is 20010 bytes, want at most 16384",
	} {
		_, err := web.Open(t.Context(), address, web.Options{Transport: nobody{t}})
		if !errors.Is(err, web.ErrURL) || !strings.Contains(err.Error(), want) || rest.Hint(err) == "" || strings.Contains(err.Error(), "hush") {
			t.Errorf("%.40s: %v; %s", address, err, rest.Hint(err))
		}
	}
}

// nobody fails the test if a request is sent.
type nobody struct{ t *testing.T }

func (n nobody) RoundTrip(r *http.Request) (*http.Response, error) {
	n.t.Errorf("%s was requested", r.URL)
	return nil, io.EOF
}

// TestRedirects checks that redirects are followed over TLS only and up to a limit. The target is
// remembered, and forgotten when it stops working.
func TestRedirects(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Error("request without TLS") }))
	defer plain.Close()
	s := newServer(t, imagetest.Noise(3*mib, 7))
	to := func(place string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, place, http.StatusFound) }
	}
	for name, c := range map[string]struct {
		fault http.HandlerFunc
		text  string
	}{
		"http":          {to(plain.URL), "scheme is not https"},
		"file":          {to("file:///etc/passwd"), "scheme is not https"},
		"user":          {to("https://a:hush@127.0.0.1/"), "credentials"},
		"loop":          {to("/images/disk.raw"), "more than 10 redirects"},
		"other machine": {to("http://169.254.169.254/"), "scheme is not https"},
	} {
		s.breaks(c.fault)
		before := s.requests.Load()
		_, err := s.open(t, web.Options{})
		if err == nil || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "hush") || s.requests.Load()-before > 11 {
			t.Errorf("%s: %v after %d requests", name, err, s.requests.Load()-before)
		}
	}

	var asked, expired atomic.Int64
	s.breaks(func(w http.ResponseWriter, r *http.Request) {
		switch key := r.URL.Query().Get("key"); {
		case r.URL.Path == "/images/disk.raw":
			http.Redirect(w, r, fmt.Sprintf("/signed/disk?key=%d#top", asked.Add(1)), http.StatusTemporaryRedirect)
		case key == fmt.Sprint(expired.Load()):
			w.WriteHeader(403)
		}
	})
	f := s.must(t, web.Options{})
	got := make([]byte, len(s.b))
	if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, s.b) || asked.Load() != 1 {
		t.Errorf("%v, %d requests", err, asked.Load())
	}
	expired.Store(1)
	if _, err := io.Copy(io.Discard, f.Stream(t.Context())); err != nil || asked.Load() != 2 {
		t.Errorf("an expired target: %v, %d requests", err, asked.Load())
	}
	s.etag = `"two"` // which the new target has
	expired.Store(2)
	if _, err := io.Copy(io.Discard, f.Stream(t.Context())); !errors.Is(err, image.ErrChanged) {
		t.Errorf("a target with another version: %v", err)
	}
}

// TestPlain reads http:// addresses of this machine, and of other machines if AllowHTTP is set.
func TestPlain(t *testing.T) {
	s := &server{b: imagetest.Noise(mib, 8), etag: `"x"`}
	plain := httptest.NewServer(s)
	defer plain.Close()
	f, err := web.Open(t.Context(), plain.URL, web.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	imagetest.Source(t, f, s.b)
	s.breaks(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X", strings.Repeat("x", mib)) })
	if _, err := web.Open(t.Context(), plain.URL, web.Options{Attempts: 1}); err == nil || !strings.Contains(err.Error(), "header") {
		t.Errorf("a long header: %v", err)
	}
	s.breaks(nil)
	via := &http.Transport{DialTLSContext: nil}
	via.DialContext = plain.Client().Transport.(*http.Transport).DialContext
	to := func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.Host = strings.TrimPrefix(plain.URL, "http://")
		return via.RoundTrip(r)
	}
	if _, err := web.Open(t.Context(), "http://example.com/", web.Options{Transport: trip(to), AllowHTTP: true}); err != nil {
		t.Errorf("with AllowHTTP: %v", err)
	}
}

type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestNoRanges reads a file in order from a server without ranges. After a break it restarts from
// the beginning if the version is known.
func TestNoRanges(t *testing.T) {
	s := newServer(t, imagetest.Noise(17*mib, 9))
	breaks := false
	s.breaks(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Range")
		if breaks && rand.IntN(2) == 0 {
			s.file(&cut{w, rand.IntN(17 * mib)}, r)
		}
	})
	f := s.must(t, web.Options{Attempts: 30})
	if _, err := f.ReadAt(make([]byte, 1), 0); f.Ranges() || !errors.Is(err, web.ErrNoRanges) || rest.Hint(err) == "" {
		t.Errorf("ReadAt: %v", err)
	}
	breaks = true
	for range 5 {
		got, err := io.ReadAll(f.Stream(t.Context()))
		if err != nil || !bytes.Equal(got, s.b) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
	breaks = false
	r := f.Stream(t.Context())
	if _, err := io.ReadFull(r, make([]byte, 100)); err != nil || r.Close() != nil {
		t.Error(err)
	}
	if _, err := r.Read(make([]byte, 1)); err == nil {
		t.Error("read after Close succeeded")
	}
	s.etag = `"two"`
	if _, err := io.Copy(io.Discard, f.Stream(t.Context())); !errors.Is(err, image.ErrChanged) {
		t.Errorf("changed: %v", err)
	}
	// Without a version, the stream cannot resume.
	s.etag, s.mtime = "", time.Time{}
	f = s.must(t, web.Options{})
	s.breaks(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Range")
		s.file(&cut{w, 5 * mib}, r)
	})
	if n, err := io.Copy(io.Discard, f.Stream(t.Context())); err == nil || n == 0 || n > 5*mib {
		t.Errorf("without a version: %d bytes, %v", n, err)
	}
}

// TestEncoded reads a compressed file whose encoding some servers report.
func TestEncoded(t *testing.T) {
	s := newServer(t, imagetest.Noise(1000, 10))
	coding := ""
	s.breaks(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Encoding", coding) })
	for _, c := range []struct {
		path, coding string
		ok           bool
	}{
		{"/disk.raw", "identity", true}, {"/disk.raw", "gzip", false}, {"/disk.raw.gz", "x-gzip", true}, {"/disk.RAW.GZ", "GZIP", true},
		{"/disk.raw.gz", "br", false}, {"/disk.raw.xz", "gzip", false}, {"/disk.raw.xz", "x-xz", true}, {"/disk.raw.gz", "gzip, gzip", false},
	} {
		coding = c.coding
		if _, err := s.openPath(t, c.path, web.Options{}); (err == nil) != c.ok || err != nil && !errors.Is(err, web.ErrAnswer) {
			t.Errorf("%s as %s: %v", c.path, c.coding, err)
		}
	}
}

func TestNames(t *testing.T) {
	for address, want := range map[string][2]string{
		"https://example.com/a/disk.img":           {"https://example.com/a/disk.img", "disk.img"},
		"https://u:p@example.com/a%20b?key=hush#x": {"https://example.com/a%20b?...", "a b"},
		"https://example.com":                      {"https://example.com", ""},
		"https://example.com/":                     {"https://example.com/", ""},
		"https://example.com/%zz?hush":             {"https://...", ""},
		"https://example.com/download/?file=hush":  {"https://example.com/download/?...", "download"},
	} {
		if got := [2]string{web.Redacted(address), web.Base(address)}; got != want {
			t.Errorf("%s: %q", address, got)
		}
	}
	for name, want := range map[string]bool{"https://x": true, "HTTP://x": true, "cos://x/y/z": false, "https:/x": false, "disk": false, "ftp://x": false} {
		if web.Is(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

// FuzzRange checks that every accepted Content-Range lies inside the file.
func FuzzRange(f *testing.F) {
	for _, text := range []string{"bytes 0-0/1", "bytes 1-5/*", "bytes */10", "bytes 5-1/10", "bytes 0-9223372036854775807/9223372036854775807", "bytes  0-0/1", "", "bytes=0-1/2"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, last, size, ok := web.ParseRange(text)
		if ok && (first < 0 || first > last || size >= 0 && last >= size || size < -1) {
			t.Errorf("%q: %d to %d of %d", text, first, last, size)
		}
	})
}
