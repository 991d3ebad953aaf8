// Package fault makes the services of the sandbox misbehave, on request, as real ones
// do: slow, too busy, broken, gone in the middle, or 200 with an error inside.
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

// A Fault is what happens to the requests it matches. What is zero does not happen; a
// fault of nothing but Delay lets the request through, later.
type Fault struct {
	// Method is that of the request; "" matches all.
	Method string `json:"method,omitempty"`
	// Path is a pattern of [path.Match], where a star stays inside one part; "/**" at its
	// end matches all that is below. "" matches all.
	Path string `json:"path,omitempty"`
	// Skip lets that many matching requests through first.
	Skip int `json:"skip,omitempty"`
	// Count is how many matching requests it happens to: 0 is one, less than 0 is all.
	Count int `json:"count,omitempty"`
	// Each has it happen to the first request of each method and path that matches, so
	// that every call fails once. Skip and Count are not looked at.
	Each bool `json:"each,omitempty"`

	DelayMS      int64  `json:"delay_ms,omitempty"`      // the answer comes later by this
	TokenExpired bool   `json:"token_expired,omitempty"` // the service finds the token expired
	Drop         bool   `json:"drop,omitempty"`          // the connection ends before the request is looked at
	DropAfter    bool   `json:"drop_after,omitempty"`    // the request is served, but its answer is lost
	Status       int    `json:"status,omitempty"`        // this is the answer, with Body
	RetryAfter   string `json:"retry_after,omitempty"`   // a header of that answer
	Body         string `json:"body,omitempty"`

	had []string // the calls that it happened to, if Each
}

// ErrFault is a fault that cannot be armed.
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

// A Set is the faults that are armed. The zero value has none. It is safe for concurrent
// use, and one set may serve several services.
type Set struct {
	// Sleep waits for a delay, or for the end of ctx. Nil is the real thing.
	Sleep func(ctx context.Context, d time.Duration)

	mu    sync.Mutex
	armed []Fault
	hits  int
}

// Arm adds a fault. Of several that match a request, the one armed first happens.
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

// Clear disarms all.
func (s *Set) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = nil
}

// Armed returns the faults that may yet happen.
func (s *Set) Armed() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.armed)
}

// Hits returns how often a fault has happened.
func (s *Set) Hits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hits
}

// take returns the fault of a request, and counts it.
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

// TokenExpired reports whether a service shall find the token of this request expired,
// whatever it is. A service asks with the context of the request.
func TokenExpired(ctx context.Context) bool { return ctx.Value(expired{}) != nil }

// Wrap returns the handler with the faults in front of it. A nil set has none.
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
			panic(http.ErrAbortHandler) // the server closes the connection, and logs nothing
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

// lost is where an answer goes that never arrives.
type lost struct{ header http.Header }

func (l *lost) Header() http.Header         { return l.header }
func (l *lost) Write(p []byte) (int, error) { return len(p), nil }
func (l *lost) WriteHeader(int)             {}

// Control is the handler to arm faults from outside: POST a [Fault] as JSON to arm it, GET
// those that are armed, DELETE to disarm all.
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
