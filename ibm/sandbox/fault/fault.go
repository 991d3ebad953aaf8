// Package fault injects faults into the services of the sandbox on request: delays, rate
// limits, server errors, broken connections, or errors with status 200.
package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Fault describes what happens to matching requests. Zero fields have no effect. A fault with
// only DelayMS serves the request after the delay.
type Fault struct {
	// Method is the request method; "" matches all.
	Method string `json:"method,omitempty"`
	// Path is a pattern of [path.Match], in which a star matches within one path element. A final
	// "/**" matches everything below. "" matches all paths.
	Path string `json:"path,omitempty"`
	// Skip is the number of matching requests to serve first.
	Skip int `json:"skip,omitempty"`
	// Count is the number of affected requests: 0 means one, a negative number means all.
	Count int `json:"count,omitempty"`
	// Each affects the first matching request of each method and path, so that every call fails
	// once. It overrides Skip and Count.
	Each bool `json:"each,omitempty"`

	DelayMS      int64  `json:"delay_ms,omitempty"`      // delay of the response
	TokenExpired bool   `json:"token_expired,omitempty"` // the service treats the token as expired
	Drop         bool   `json:"drop,omitempty"`          // close the connection without serving the request
	DropAfter    bool   `json:"drop_after,omitempty"`    // serve the request, but lose its response
	Status       int    `json:"status,omitempty"`        // respond with this status and Body
	RetryAfter   string `json:"retry_after,omitempty"`   // Retry-After header of that response
	Body         string `json:"body,omitempty"`

	had []string // the affected calls, for Each
}

// ErrFault means that a fault is invalid.
var ErrFault = errors.New("invalid fault")

func (f Fault) check() error {
	pattern := strings.TrimSuffix(f.Path, "/**")
	if _, err := path.Match(pattern, "/"); err != nil {
		return fmt.Errorf("%w: path: %w", ErrFault, err)
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		return fmt.Errorf("%w: status %d", ErrFault, f.Status)
	}
	if f.DelayMS < 0 || f.DelayMS > 3600_000 || f.Skip < 0 {
		return fmt.Errorf("%w: delay_ms or skip is out of range", ErrFault)
	}
	return nil
}

func (f Fault) matches(r *http.Request) bool {
	if f.Method != "" && !strings.EqualFold(f.Method, r.Method) {
		return false
	}
	if f.Path == "" {
		return true
	}
	if under, ok := strings.CutSuffix(f.Path, "/**"); ok {
		return r.URL.Path == under || strings.HasPrefix(r.URL.Path, under+"/")
	}
	ok, _ := path.Match(f.Path, r.URL.Path)
	return ok
}

// A Set is a set of armed faults. The zero value is empty. It is safe for concurrent
// use and can serve several services.
type Set struct {
	// Sleep waits for d, or until ctx ends. Nil means real waiting.
	Sleep func(ctx context.Context, d time.Duration)

	mu    sync.Mutex
	armed []Fault
	hits  int
}

// Arm adds a fault. If several faults match a request, the one armed first applies. Errors match [ErrFault].
func (s *Set) Arm(f Fault) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.Count == 0 {
		f.Count = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = append(s.armed, f)
	return nil
}

// Clear disarms all faults.
func (s *Set) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = nil
}

// Armed returns the faults that can still occur.
func (s *Set) Armed() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.armed)
}

// Hits returns the number of affected requests.
func (s *Set) Hits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hits
}

// take returns and counts the fault for a request.
func (s *Set) take(r *http.Request) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.armed {
		f := &s.armed[i]
		if !f.matches(r) {
			continue
		}
		if f.Each {
			call := r.Method + " " + r.URL.Path
			if slices.Contains(f.had, call) {
				continue
			}
			f.had = append(f.had, call)
			s.hits++
			return *f, true
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		s.hits++
		taken := *f
		if f.Count > 0 {
			if f.Count--; f.Count == 0 {
				s.armed = slices.Delete(s.armed, i, i+1)
			}
		}
		return taken, true
	}
	return Fault{}, false
}

type expired struct{}

// TokenExpired reports whether a service must treat the token of a request as expired.
// ctx is the context of the request.
func TokenExpired(ctx context.Context) bool { return ctx.Value(expired{}) != nil }

// Wrap returns a handler that applies the faults before h. A nil set has no faults.
func (s *Set) Wrap(h http.Handler) http.Handler {
	if s == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := s.take(r)
		if !ok {
			h.ServeHTTP(w, r)
			return
		}
		if f.DelayMS > 0 {
			s.sleep(r.Context(), time.Duration(f.DelayMS)*time.Millisecond)
		}
		switch {
		case f.Drop:
			panic(http.ErrAbortHandler) // closes the connection without logging
		case f.DropAfter:
			h.ServeHTTP(&lost{header: http.Header{}}, r)
			panic(http.ErrAbortHandler)
		case f.Status != 0:
			w.Header().Set("Content-Type", "application/json")
			if f.RetryAfter != "" {
				w.Header().Set("Retry-After", f.RetryAfter)
			}
			w.WriteHeader(f.Status)
			if f.Status != http.StatusNoContent && f.Status != http.StatusNotModified {
				io.WriteString(w, f.Body)
			}
		case f.TokenExpired:
			h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), expired{}, true)))
		default:
			h.ServeHTTP(w, r)
		}
	})
}

func (s *Set) sleep(ctx context.Context, d time.Duration) {
	if s.Sleep != nil {
		s.Sleep(ctx, d)
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// lost is a response writer that discards the response.
type lost struct{ header http.Header }

func (l *lost) Header() http.Header         { return l.header }
func (l *lost) Write(p []byte) (int, error) { return len(p), nil }
func (l *lost) WriteHeader(int)             {}

// Control returns a handler to control the faults: POST a [Fault] as JSON to arm it, GET
// the armed faults, DELETE to disarm all.
func (s *Set) Control() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost:
			d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
			d.DisallowUnknownFields()
			var f Fault
			if err := d.Decode(&f); err != nil {
				http.Error(w, "want a fault as JSON", http.StatusBadRequest)
				return
			}
			if err := s.Arm(f); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		case http.MethodGet:
			w.Header().Set("Content-Type", "application/json")
			armed := s.Armed()
			if armed == nil {
				armed = []Fault{}
			}
			json.NewEncoder(w).Encode(armed)
		case http.MethodDelete:
			s.Clear()
			w.WriteHeader(http.StatusNoContent)
		default:
			w.Header().Set("Allow", "GET, POST, DELETE")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		}
	})
}
