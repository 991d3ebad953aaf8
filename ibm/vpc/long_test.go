package vpc_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/vpc"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/rest/resttest"
)

// renewed issues tokens that last for 20 minutes; only the newest is valid.
type renewed struct {
	mu      sync.Mutex
	n       int
	dropped int
}

func (r *renewed) Token(context.Context) (rest.Token, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return rest.NewToken(fmt.Sprint("token-", r.n), time.Time{}), nil
}

func (r *renewed) Drop(rest.Token) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n, r.dropped = r.n+1, r.dropped+1
}

// TestLongImport waits for an import of an hour, during which the network fails for eight minutes, the
// service limits the rate for a minute, and tokens expire.
func TestLongImport(t *testing.T) {
	begin := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	clock, tokens := resttest.NewClock(begin), &renewed{}
	good, made := 0, 0
	slow := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := clock.Now().Sub(begin)
		if want := int(at / (20 * time.Minute)); r.Header.Get("Authorization") != fmt.Sprint("Bearer token-", want) {
			w.WriteHeader(401)
			fmt.Fprint(w, `{"errors":[{"code":"not_authorized","message":"expired"}]}`)
			return
		}
		switch {
		case at >= 10*time.Minute && at < 18*time.Minute:
			panic(http.ErrAbortHandler)
		case at >= 30*time.Minute && slow < 3:
			slow++
			w.Header().Set("Retry-After", "20")
			w.WriteHeader(429)
			return
		case r.Method == http.MethodPost:
			made++
			w.WriteHeader(201)
		case r.URL.Path == "/v1/images":
			fmt.Fprint(w, `{"images":[]}`)
			return
		}
		good++
		status := "pending"
		if at >= time.Hour {
			status = "available"
		}
		fmt.Fprintf(w, `{"id":"r006-1","name":"web","status":%q,"status_reasons":[]}`, status)
	}))
	defer srv.Close()
	c, err := vpc.New(vpc.Options{Endpoint: srv.URL, Tokens: tokens, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	img, err := c.CreateImage(t.Context(), vpc.ImageRequest{Name: "web", URI: "cos://us-south/images/web.qcow2", OperatingSystem: "debian-12-amd64", RootKeyCRN: rootCRN, WrappedDEK: "wdek"})
	if err != nil {
		t.Fatal(err)
	}
	var told []vpc.Progress
	if img, err = c.WaitImage(t.Context(), img.ID, vpc.WaitOptions{Progress: func(p vpc.Progress) { told = append(told, p) }}); err != nil || !img.Ready() {
		t.Fatal(err)
	}
	if took := clock.Now().Sub(begin); took < time.Hour || took > time.Hour+time.Minute || made != 1 || tokens.dropped != 3 || slow != 3 {
		t.Errorf("after %v: %d images, %d tokens, rate limited %d times", took, made, tokens.dropped, slow)
	}
	away := slices.ContainsFunc(told, func(p vpc.Progress) bool { return p.Status == "pending" && p.Detail == "no response, retrying" })
	if len(told) < good-1 || !away || !slices.IsSortedFunc(told, func(a, b vpc.Progress) int { return int(a.Elapsed - b.Elapsed) }) {
		t.Errorf("%d answers, %d progress calls, lost network reported: %v", good, len(told), away)
	}
}
