package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/rest/resttest"
)

type token string

func (t token) Token(context.Context) (rest.Token, error) {
	return rest.NewToken(string(t), time.Time{}), nil
}

type noToken struct{}

func (noToken) Token(context.Context) (rest.Token, error) {
	return rest.Token{}, errors.New("no token today")
}

func TestQuery(t *testing.T) {
	answer, err := os.ReadFile("testdata/cloudlogs.sse")
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Query    string         `json:"query"`
			Metadata map[string]any `json:"metadata"`
		}
		if r.Method != "POST" || r.URL.Path != "/v1/query" || r.Header.Get("Authorization") != "Bearer tok" || r.Header.Get("Accept") != "text/event-stream" {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		m := body.Metadata
		if !strings.Contains(body.Query, "ibm-audit-event") || m["start_date"] != "2026-11-01T12:00:00Z" || m["end_date"] != "2026-11-02T12:00:00Z" ||
			m["tier"] != "archive" || m["syntax"] != "dataprime" || m["limit"] != 12000.0 || m["default_source"] != "logs" {
			t.Errorf("%+v", body)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.Write(answer)
	}))
	defer srv.Close()
	c, err := audit.NewClient(audit.ClientOptions{Endpoint: srv.URL + "/v1", Tokens: token("tok")})
	if err != nil {
		t.Fatal(err)
	}
	events, skipped, err := c.Query(t.Context(), audit.QueryRequest{End: start.Add(24 * time.Hour), Tier: "archive"})
	if err != nil || len(events) != 4 || skipped.Records != 0 {
		t.Fatalf("%d events, %+v, %v", len(events), skipped, err)
	}
}

func TestQueryErrors(t *testing.T) {
	status := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "req-1")
		if status == 302 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		w.Write([]byte(`{"errors":[{"message":"not with tok-secret\u001b[2J"}]}`))
	}))
	c, err := audit.NewClient(audit.ClientOptions{Endpoint: srv.URL, Tokens: token("tok-secret"), Clock: resttest.NewClock(time.Now())})
	if err != nil {
		t.Fatal(err)
	}
	for _, status = range []int{302, 400, 401, 404, 429, 500} {
		_, _, err := c.Query(t.Context(), audit.QueryRequest{})
		var e *audit.Error
		if !errors.As(err, &e) || e.Status != status || e.RequestID != "req-1" || strings.Contains(err.Error(), "tok-secret") || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%d: %v", status, err)
			continue
		}
		if e.Hint() == "" {
			t.Errorf("%d: hint %q", status, e.Hint())
		}
	}
	srv.Close()
	var e *audit.Error
	if _, _, err := c.Query(t.Context(), audit.QueryRequest{}); !errors.As(err, &e) || e.Status != 0 || e.Hint() == "" {
		t.Errorf("%v", err)
	}
	if c, err = audit.NewClient(audit.ClientOptions{Endpoint: srv.URL, Tokens: noToken{}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Query(t.Context(), audit.QueryRequest{}); err == nil || !strings.Contains(err.Error(), "no token today") {
		t.Error(err)
	}
	for _, endpoint := range []string{"", "ftp://x", "https://user:pw@x", "https://x?a=b", ":"} {
		if _, err := audit.NewClient(audit.ClientOptions{Endpoint: endpoint, Tokens: token("t")}); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}
