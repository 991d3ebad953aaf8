package web_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/luksimg/luksimg/image/web"
	"github.com/luksimg/luksimg/internal/rest/resttest"
)

// A server serves one file, with an optional fault.
type server struct {
	*httptest.Server
	b     []byte
	etag  string
	mtime time.Time

	requests atomic.Int64
	mu       sync.Mutex
	fault    http.HandlerFunc // replies in place of the server, unless it writes nothing
	headers  []http.Header    // of all requests
}

func newServer(t *testing.T, b []byte) *server {
	s := &server{b: b, etag: `"one"`, mtime: time.Unix(1_700_000_000, 0)}
	s.Server = httptest.NewTLSServer(s)
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	return s
}

func (s *server) breaks(fault http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// A wordy writer records whether anything was written.
type wordy struct {
	http.ResponseWriter
	spoke bool
}

func (w *wordy) WriteHeader(n int) { w.spoke = true; w.ResponseWriter.WriteHeader(n) }
func (w *wordy) Write(p []byte) (int, error) {
	w.spoke = true
	return w.ResponseWriter.Write(p)
}
func (w *wordy) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	s.mu.Lock()
	fault := s.fault
	s.headers = append(s.headers, r.Header.Clone())
	s.mu.Unlock()
	if fault != nil {
		word := &wordy{ResponseWriter: w}
		if fault(word, r); word.spoke {
			return
		}
	}
	s.file(w, r)
}

// file replies like a correct server.
func (s *server) file(w http.ResponseWriter, r *http.Request) {
	if s.etag != "" {
		w.Header().Set("Etag", s.etag)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "disk", s.mtime, bytes.NewReader(s.b))
}

// open opens the file with a client that trusts the server and a clock that does not wait.
func (s *server) open(t *testing.T, o web.Options) (*web.File, error) {
	return s.openPath(t, "/images/disk.raw", o)
}

func (s *server) openPath(t *testing.T, path string, o web.Options) (*web.File, error) {
	o.Transport = s.Client().Transport
	if o.Clock == nil {
		o.Clock = resttest.NewClock(time.Unix(0, 0))
	}
	f, err := web.Open(t.Context(), s.URL+path, o)
	if err == nil {
		t.Cleanup(func() { f.Close() })
	}
	return f, err
}

// must opens the file or fails the test.
func (s *server) must(t *testing.T, o web.Options) *web.File {
	t.Helper()
	f, err := s.open(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// part parses the header Range, which luksimg always sends in one form.
func part(r *http.Request) (first, last int64) {
	if _, err := fmt.Sscanf(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "%d-%d", &first, &last); err != nil {
		panic(err)
	}
	return first, last
}

// cut sends the first bytes of a correct response body and then breaks the connection.
type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	if len(p) > c.left {
		c.ResponseWriter.Write(p[:c.left])
		http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}
