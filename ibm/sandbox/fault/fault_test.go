package fault_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/sandbox/fault"
)

// serve starts a service that counts its requests and reports whether it saw an expired token.
func serve(t *testing.T, s *fault.Set) (url string, served *atomic.Int32) {
	t.Helper()
	served = new(atomic.Int32)
	server := httptest.NewServer(s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		if fault.TokenExpired(r.Context()) {
			w.WriteHeader(401)
		}
		io.WriteString(w, "good")
	})))
	t.Cleanup(server.Close)
	return server.URL, served
}

func get(t *testing.T, url string) (status int, body string, h http.Header, err error) {
	t.Helper()
	res, err := http.Post(url, "", strings.NewReader("x")) // not GET, which net/http retries itself
	if err != nil {
		return 0, "", nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), res.Header, err
}

func TestKinds(t *testing.T) {
	var slept atomic.Int64
	s := &fault.Set{Sleep: func(_ context.Context, d time.Duration) { slept.Add(int64(d)) }}
	url, served := serve(t, s)
	arm := func(f fault.Fault) {
		t.Helper()
		if err := s.Arm(f); err != nil {
			t.Fatal(err)
		}
	}

	arm(fault.Fault{Status: 429, RetryAfter: "3", Body: `{"error":"slow down"}`})
	if status, body, h, _ := get(t, url); status != 429 || body != `{"error":"slow down"}` || h.Get("Retry-After") != "3" || served.Load() != 0 {
		t.Errorf("429: %d %s %v", status, body, h)
	}
	if status, body, _, _ := get(t, url); status != 200 || body != "good" {
		t.Errorf("after it: %d %s", status, body)
	}
	arm(fault.Fault{Status: 200, Body: `{"error":"Internal Error"}`})
	if status, body, _, _ := get(t, url); status != 200 || !strings.Contains(body, "Internal Error") {
		t.Errorf("200 with an error: %d %s", status, body)
	}
	arm(fault.Fault{DelayMS: 1500})
	if status, _, _, _ := get(t, url); status != 200 || slept.Load() != int64(1500*time.Millisecond) {
		t.Errorf("slow: %d after %v", status, slept.Load())
	}
	arm(fault.Fault{TokenExpired: true})
	if status, _, _, _ := get(t, url); status != 401 {
		t.Errorf("expired: %d", status)
	}
	served.Store(0)
	arm(fault.Fault{Drop: true})
	if _, _, _, err := get(t, url); err == nil || served.Load() != 0 {
		t.Errorf("dropped: %v, %d served", err, served.Load())
	}
	arm(fault.Fault{DropAfter: true})
	if _, _, _, err := get(t, url); err == nil || served.Load() != 1 {
		t.Errorf("dropped after: %v, %d served", err, served.Load())
	}
	if s.Hits() != 6 || len(s.Armed()) != 0 {
		t.Errorf("%d hits, %d armed", s.Hits(), len(s.Armed()))
	}
}

func TestMatching(t *testing.T) {
	s := &fault.Set{}
	url, _ := serve(t, s)
	for _, c := range []struct {
		f    fault.Fault
		path string
		want []int
	}{
		{fault.Fault{Path: "/api/v2/keys/*/actions/wrap", Count: 2}, "/api/v2/keys/1/actions/wrap", []int{500, 500, 200}},
		{fault.Fault{Path: "/api/v2/keys/*/actions/wrap"}, "/api/v2/keys/1/actions/unwrap", []int{200}},
		{fault.Fault{Path: "/api/*"}, "/api/v2/keys", []int{200}},
		{fault.Fault{Path: "/api/**"}, "/api/v2/keys", []int{500, 200}},
		{fault.Fault{Path: "/api/**"}, "/apis", []int{200}},
		{fault.Fault{Method: "get"}, "/", []int{200}},
		{fault.Fault{Method: "post", Skip: 1}, "/", []int{200, 500, 200}},
		{fault.Fault{Count: -1}, "/", []int{500, 500, 500, 500}},
	} {
		s.Clear()
		c.f.Status = 500
		if err := s.Arm(c.f); err != nil {
			t.Fatal(err)
		}
		for i, want := range c.want {
			if status, _, _, err := get(t, url+c.path); status != want {
				t.Errorf("%+v, request %d of %s: %d, %v, want %d", c.f, i, c.path, status, err, want)
			}
		}
	}
}

func TestControl(t *testing.T) {
	s := &fault.Set{}
	control := httptest.NewServer(s.Control())
	defer control.Close()
	do := func(method, body string) (int, string) {
		req, _ := http.NewRequest(method, control.URL, strings.NewReader(body))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		return res.StatusCode, strings.TrimSpace(string(text))
	}
	if status, body := do("POST", `{"path":"/api/**","status":503,"count":2}`); status != 204 {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := do("GET", ""); status != 200 || body != `[{"path":"/api/**","count":2,"status":503}]` {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := do("DELETE", ""); status != 204 || len(s.Armed()) != 0 {
		t.Errorf("%d", status)
	}
	if _, body := do("GET", ""); body != "[]" {
		t.Error(body)
	}
	for _, bad := range []string{"", "x", `{"stat":1}`, `{"status":100}`, `{"path":"[","status":500}`, `{"delay_ms":-1}`} {
		if status, _ := do("POST", bad); status != 400 {
			t.Errorf("%q: %d", bad, status)
		}
	}
	if status, _ := do("PUT", ""); status != 405 {
		t.Errorf("PUT: %d", status)
	}
	if err := s.Arm(fault.Fault{Skip: -1}); !errors.Is(err, fault.ErrFault) {
		t.Error(err)
	}
}
