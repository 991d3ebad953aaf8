package slurm

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// A proxy stands between the tasks and a server of the S3 protocol, and holds requests up. So a task can be
// met in the middle of its work.
type proxy struct {
	*httptest.Server
	proxied http.Handler

	mu      sync.Mutex
	held    func(*http.Request) bool
	again   chan struct{}  // is closed when held changes
	waiting map[string]int // requests that are held up, by name
	stored  map[string]int // those that the server took
}

// newProxy starts a proxy of a server. It holds nothing up.
func newProxy(t testing.TB, server string) *proxy {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{held: func(*http.Request) bool { return false }, again: make(chan struct{}), waiting: map[string]int{}, stored: map[string]int{}}
	p.proxied = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = u.Scheme, u.Host }, // and the same Host, which is signed
		ModifyResponse: func(r *http.Response) error {
			p.count(p.stored, r.Request, r.StatusCode == http.StatusOK || r.StatusCode == http.StatusPartialContent)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	t.Cleanup(func() { p.hold(nil) }) // before that: it waits for all requests
	return p
}

// nameOf is what a request is counted by: its method, and the number of the part, or else its path.
func nameOf(r *http.Request) string {
	if n := r.URL.Query().Get("partNumber"); n != "" {
		return r.Method + " part " + n
	}
	return r.Method + " " + r.URL.Path
}

func (p *proxy) count(in map[string]int, r *http.Request, yes bool) {
	if yes {
		p.mu.Lock()
		in[nameOf(r)]++
		p.mu.Unlock()
	}
}

// hold says which requests are held up from now on; nil is none.
func (p *proxy) hold(held func(*http.Request) bool) {
	if held == nil {
		held = func(*http.Request) bool { return false }
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = held
	close(p.again)
	p.again = make(chan struct{})
}

// holds and stores tell how many requests of a name are held up, and how many the server took.
func (p *proxy) holds(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting[name]
}

func (p *proxy) stores(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stored[name]
}

// ServeHTTP implements [http.Handler]. A request whose client goes away while it is held up does not
// come to the server.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	if p.wait(r.Context(), r) == nil {
		p.proxied.ServeHTTP(w, r)
	}
}

func (p *proxy) wait(ctx context.Context, r *http.Request) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting[nameOf(r)]++
	defer func() { p.waiting[nameOf(r)]-- }()
	for p.held(r) {
		again := p.again
		p.mu.Unlock()
		select {
		case <-again:
		case <-ctx.Done():
		}
		p.mu.Lock()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
