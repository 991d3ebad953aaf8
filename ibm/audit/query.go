package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/luksimg/luksimg/internal/rest"
)

// A TokenSource gives bearer tokens of IAM.
type TokenSource interface {
	Token(ctx context.Context) (string, error)
}

// ClientConfig says where an instance of IBM Cloud Logs is.
type ClientConfig struct {
	// Endpoint is https://INSTANCE.api.REGION.logs.cloud.ibm.com. It must be https, or http
	// on this machine.
	Endpoint string

	Tokens TokenSource

	// HTTP makes the calls; nil is http.DefaultClient. Redirects are not followed.
	HTTP *http.Client

	Timeout   time.Duration // of one query; zero is 5 minutes
	UserAgent string        // "" is "luksimg"
	Read      ReadOptions   // bounds of the answer
}

// A Client queries IBM Cloud Logs. It is safe for concurrent use.
type Client struct {
	cfg  ClientConfig
	http *http.Client
}

// NewClient checks the configuration. It makes no call.
func NewClient(cfg ClientConfig) (*Client, error) {
	base, err := rest.CheckURL(cfg.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("audit: endpoint: %w", err)
	}
	if cfg.Tokens == nil {
		return nil, fmt.Errorf("audit: a query needs a source of tokens")
	}
	cfg.Endpoint = strings.TrimSuffix(base, "/v1")
	if cfg.Timeout <= 0 {
		cfg.Timeout = 5 * time.Minute
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "luksimg"
	}
	return &Client{cfg: cfg, http: rest.HTTPClient(cfg.HTTP)}, nil
}

// A QueryRequest says what to look for. The zero value is all audit events of the last
// day.
type QueryRequest struct {
	Query  string    // "" is all audit events
	Syntax string    // of Query: "dataprime" (also for "") or "lucene"
	Start  time.Time // zero is a day before End
	End    time.Time // zero is now
	Tier   string    // "archive", or "frequent_search" (also for "")
	Limit  int       // of events; zero is 12000, all that a synchronous query gives
}

// Query reads the events that a query finds.
func (c *Client) Query(ctx context.Context, q QueryRequest) ([]Event, Skipped, error) {
	if q.Query == "" {
		q.Query = "source logs | filter $l.applicationname == 'ibm-audit-event'"
	}
	if q.Syntax == "" {
		q.Syntax = "dataprime"
	}
	if q.Tier == "" {
		q.Tier = "frequent_search"
	}
	if q.End.IsZero() {
		q.End = time.Now()
	}
	if q.Start.IsZero() {
		q.Start = q.End.Add(-24 * time.Hour)
	}
	if q.Limit <= 0 {
		q.Limit = 12000
	}
	body, err := json.Marshal(map[string]any{
		"query": q.Query,
		"metadata": map[string]any{
			"start_date": q.Start.UTC().Format(time.RFC3339), "end_date": q.End.UTC().Format(time.RFC3339),
			"default_source": "logs", "tier": q.Tier, "syntax": q.Syntax, "limit": q.Limit,
		},
	})
	if err != nil {
		return nil, Skipped{}, fmt.Errorf("audit: query: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	token, err := c.cfg.Tokens.Token(ctx)
	if err != nil {
		return nil, Skipped{}, fmt.Errorf("audit: query: no token: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.Endpoint+"/v1/query", bytes.NewReader(body))
	if err != nil {
		return nil, Skipped{}, fmt.Errorf("audit: query: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, Skipped{}, &QueryError{err: err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		return nil, Skipped{}, newQueryError(resp, text, token)
	}
	events, skipped, err := Read(resp.Body, c.cfg.Read)
	if err != nil {
		return events, skipped, fmt.Errorf("audit: query: the answer: %w", err)
	}
	return events, skipped, nil
}

// A QueryError is a query that Cloud Logs refused, or that was not answered: then
// Status is zero and Unwrap has the reason.
type QueryError struct {
	Status    int
	Message   string // the service's words
	RequestID string // if the service gave one

	err error
}

func newQueryError(resp *http.Response, text []byte, token string) *QueryError {
	e := &QueryError{Status: resp.StatusCode, RequestID: line(resp.Header.Get("X-Request-Id"), token)}
	var j struct {
		Message string `json:"message"`
		Errors  []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(text, &j) == nil {
		e.Message = j.Message
		if len(j.Errors) > 0 {
			e.Message = j.Errors[0].Message
		}
	}
	e.Message = line(e.Message, token)
	return e
}

// line returns s as one line, without the token.
func line(s, token string) string {
	if token != "" {
		s = strings.ReplaceAll(s, token, redacted)
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	return strings.TrimSpace(s[:min(len(s), 600)])
}

func (e *QueryError) Error() string {
	s := "audit: query: "
	switch {
	case e.err != nil:
		return s + e.err.Error()
	case e.Message != "":
		s += e.Message
	default:
		s += "refused"
	}
	s += fmt.Sprintf(" (HTTP %d", e.Status)
	if e.RequestID != "" {
		s += ", request " + e.RequestID
	}
	return s + ")"
}

// Unwrap returns what an error without an answer is about, or nil.
func (e *QueryError) Unwrap() error { return e.err }

// Hint says what to do about it, or is empty.
func (e *QueryError) Hint() string {
	switch {
	case e.err != nil:
		return "there was no answer: check the endpoint and the network"
	case e.Status == 401 || e.Status == 403:
		return "the API key needs the role Reader for the instance of IBM Cloud Logs"
	case e.Status == 404:
		return "check the instance and the region in the endpoint"
	case e.Status == 400:
		return "check the query and its syntax"
	case e.Status == 429:
		return "too many queries: wait a minute and repeat"
	}
	return ""
}
