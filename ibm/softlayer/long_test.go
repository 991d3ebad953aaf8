package softlayer_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/internal/rest/resttest"
)

// TestLongImport waits for an import of an hour, during which the network fails for eight minutes and the service
// limits the rate of calls.
func TestLongImport(t *testing.T) {
	begin := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	clock := resttest.NewClock(begin)
	slow := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		at := clock.Now().Sub(begin)
		switch {
		case at >= 10*time.Minute && at < 18*time.Minute:
			panic(http.ErrAbortHandler)
		case at >= 30*time.Minute && slow < 3:
			slow++
			w.Header().Set("Retry-After", "20")
			w.WriteHeader(429)
		case at >= 40*time.Minute && slow < 6:
			slow++
			w.WriteHeader(500)
			fmt.Fprint(w, `{"error":"Rate limit exceeded.","code":"SoftLayer_Exception_WebService_RateLimitExceeded"}`)
		case at < time.Hour:
			fmt.Fprint(w, `{"id":1,"globalIdentifier":"g","name":"web","status":{"name":"Inactive"},"transaction":{"transactionStatus":{"name":"COPY_IMAGE"}},"children":[]}`)
		default:
			fmt.Fprint(w, `{"id":1,"globalIdentifier":"g","name":"web","status":{"name":"Active"},"children":[{"id":2,"datacenter":{"name":"dal13"}}]}`)
		}
	}))
	defer srv.Close()
	c, err := softlayer.New(softlayer.Options{Endpoint: srv.URL + "/rest/v3.1", User: "me", APIKey: "key", Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	var told []softlayer.Progress
	tpl, err := c.WaitImport(t.Context(), 1, softlayer.WaitOptions{Progress: func(p softlayer.Progress) { told = append(told, p) }})
	if err != nil || !tpl.Ready() {
		t.Fatal(err)
	}
	if took := clock.Now().Sub(begin); took < time.Hour || took > time.Hour+time.Minute || slow != 6 {
		t.Errorf("after %v, rate limited %d times", took, slow)
	}
	if !slices.ContainsFunc(told, func(p softlayer.Progress) bool {
		return p.Step == "COPY_IMAGE" && p.Detail == "no response, retrying"
	}) || len(told) < 200 {
		t.Errorf("told %d times", len(told))
	}
}
