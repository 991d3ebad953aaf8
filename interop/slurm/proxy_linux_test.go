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

// A proxy stands between the tasks and an S3 server, and can hold requests. A test can thus act on a
// task in the middle of its work.
type proxy struct {
	*httptest.Server
	proxied http.Handler

	mu      sync.Mutex
	held    func(*http.Request) bool
	again   chan struct{}  // closed when held changes
	waiting map[string]int // held requests, by name
	stored  map[string]int // requests that the server accepted, by name
}

// newProxy starts a proxy of a server, which holds no requests.
func newProxy(t testing.TB, server string) *proxy {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{held: func(*http.Request) bool { return false }, again: make(chan struct{}), waiting: map[string]int{}, stored: map[string]int{}}
	p.proxied = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = u.Scheme, u.Host }, // keeps Host, which is signed
		ModifyResponse: func(r *http.Response) error {
			p.count(p.stored, r.Request, r.StatusCode == http.StatusOK || r.StatusCode == http.StatusPartialContent)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	t.Cleanup(func() { p.hold(nil) }) // runs before the server closes, which waits for all requests
	return p
}

// nameOf returns the name under which a request is counted: its method, and the part number or the
// path.
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

// hold sets which requests are held; nil holds none.
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

// holds returns how many requests of a name are held, and stores how many the server accepted.
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

// ServeHTTP implements [http.Handler]. A held request does not reach the server if its client
// disconnects.
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
