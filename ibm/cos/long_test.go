package cos_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/internal/rest/resttest"
)

func isPOST(r *http.Request, query string) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has(query)
}

// TestBusy uses a service that refuses creating calls and parts because of its load.
// The client must retry each after the requested time, and create nothing twice.
func TestBusy(t *testing.T) {
	for name, busy := range map[string]func(w http.ResponseWriter){
		"429": func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) },
		"503": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, "<Error><Code>SlowDown</Code></Error>")
		},
	} {
		s := newService(t)
		clock := resttest.Still(time.Now())
		c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey(), Clock: clock})
		refused := map[string]int{}
		s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			var what string
			switch {
			case isPOST(r, "uploads"):
				what = "begin"
			case isPOST(r, "uploadId"):
				what = "complete"
			case r.URL.Query().Get("partNumber") == "2":
				what = "part"
			default:
				return false
			}
			if refused[what]++; refused[what] > 2 {
				return false
			}
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Retry-After", fmt.Sprint(40+len(what)))
			busy(w)
			return true
		})
		b := noise(11*mib, 60)
		if _, err := c.Upload(ctx, object(name), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib, Jobs: 1}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(s.stored(t, name), b) {
			t.Errorf("%s: the object differs from the source", name)
		}
		var waits []string
		for _, d := range clock.Waits() {
			waits = append(waits, d.String())
		}
		if got := strings.Join(waits, " "); got != "45s 45s 44s 44s 48s 48s" {
			t.Errorf("%s: waited %s", name, got)
		}
		if begun, completed := s.count("POST uploads"), s.count("POST uploadId"); begun != 3 || completed != 3 {
			t.Errorf("%s: begun %d times, completed %d times", name, begun, completed)
		}
		s.breaks(nil)
		clean(t, c)
	}
}

// TestExpiry lets the token expire six times in one upload, at each kind of call, with both
// statuses that the service uses for it.
func TestExpiry(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		s := newService(t)
		tokens := &tokenSource{s: s}
		c := client(t, cos.Options{Endpoint: s.URL, Tokens: tokens})
		expired := map[string]bool{}
		s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			q := r.URL.Query()
			what := r.Method + " " + q.Get("partNumber")
			if r.Method == http.MethodPost {
				what += fmt.Sprint(q.Has("uploads"))
			}
			if expired[what] || r.Method == http.MethodGet {
				return false
			}
			expired[what] = true
			s.expire(w, r)
			w.WriteHeader(status)
			return true
		})
		b := noise(15*mib, 61)
		if _, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib, Jobs: 1}); err != nil {
			t.Fatalf("%d: %v", status, err)
		}
		if !bytes.Equal(s.stored(t, "x"), b) {
			t.Errorf("%d: the object differs from the source", status)
		}
		if len(expired) != 6 || tokens.n != 7 {
			t.Errorf("%d: expired at %v, %d tokens", status, expired, tokens.n)
		}
		s.breaks(nil)
		clean(t, c)
	}
}

// TestGone lets the service forget an unfinished upload, at a part or at its end. The client must
// start again, with and without a state, but not forever.
func TestGone(t *testing.T) {
	b := noise(16*mib, 62)
	for where, at := range map[string]func(r *http.Request) bool{
		"part": func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == "3" },
		"end":  func(r *http.Request) bool { return isPOST(r, "uploadId") },
	} {
		for often := 1; often <= 3; often++ {
			for _, state := range []*memory{nil, {}} {
				s := newService(t)
				c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
				n := 0
				s.breaks(func(_ http.ResponseWriter, r *http.Request) bool {
					if at(r) && n < often {
						n++
						if err := c.Abort(ctx, object("x"), r.URL.Query().Get("uploadId")); err != nil {
							t.Error(err)
						}
					}
					return false
				})
				var done atomic.Int64
				opts := cos.UploadOptions{PartSize: 5 * mib, Jobs: 1, Progress: func(n int64) { done.Add(n) }}
				if state != nil {
					opts.State = state
				}
				name := fmt.Sprintf("%s, %d times, state %v", where, often, state != nil)
				r, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), opts)
				s.breaks(nil)
				if begun := s.count("POST uploads"); begun != min(often+1, 3) {
					t.Errorf("%s: begun %d times", name, begun)
				}
				clean(t, c)
				if often == 3 {
					if !errors.Is(err, cos.ErrNotFound) {
						t.Errorf("%s: %v", name, err)
					}
					continue
				}
				if err != nil || r.Parts != 4 || r.Found != 0 || done.Load() != int64(len(b)) {
					t.Errorf("%s: %+v, progress %d, %v", name, r, done.Load(), err)
					continue
				}
				if !bytes.Equal(s.stored(t, "x"), b) {
					t.Errorf("%s: the object differs from the source", name)
				}
				if state != nil && state.b != nil {
					t.Errorf("%s: the state was not removed: %s", name, state.b)
				}
			}
		}
	}
}
