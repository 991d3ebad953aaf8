package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/luksimg/luksimg/internal/rest"
)

// A TokenSource returns IAM bearer tokens. Package iam has implementations.
type TokenSource = rest.TokenSource

// ClientOptions are the settings of a [Client].
type ClientOptions struct {
	// Endpoint is https://INSTANCE.api.REGION.logs.cloud.ibm.com. It must be https, or http
	// on a loopback address.
	Endpoint string

	Tokens TokenSource

	// HTTP sends the requests; nil means http.DefaultClient. Redirects are not followed.
	HTTP *http.Client

	Timeout   time.Duration // of one query; zero means 5 minutes
	UserAgent string        // "" means "luksimg"
	Read      ReadOptions   // limits of the response
	Clock     rest.Clock    // for waiting between attempts; nil means the system clock
}

// A Client queries IBM Cloud Logs. It is safe for concurrent use.
type Client struct {
	opts ClientOptions
	send *rest.Transport
}

// NewClient returns a client. It validates opts and sends no request.
func NewClient(opts ClientOptions) (*Client, error) {
	base, err := rest.CheckURL(opts.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("audit: endpoint: %w", err)
	}
	if opts.Tokens == nil {
		return nil, fmt.Errorf("audit: a client needs a token source")
	}
	opts.Endpoint = strings.TrimSuffix(base, "/v1")
	if opts.Timeout <= 0 {
		opts.Timeout = 5 * time.Minute
	}
	if opts.UserAgent == "" {
		opts.UserAgent = "luksimg"
	}
	c := &Client{opts: opts, send: &rest.Transport{Tokens: opts.Tokens, Retry: rest.Retry{Timeout: opts.Timeout, Clock: opts.Clock}}}
	rest.NewClient(opts.HTTP, c.send)
	return c, nil
}

// QueryRequest selects events. The zero value selects all audit events of the last
// day.
type QueryRequest struct {
	Query  string    // "" means all audit events
	Syntax string    // of Query: "dataprime" (the default) or "lucene"
	Start  time.Time // zero means a day before End
	End    time.Time // zero means now
	Tier   string    // "frequent_search" (the default) or "archive"
	Limit  int       // of events; zero means 12000, the maximum of a synchronous query
}

// Query returns the events that match q. Errors of the service are of type *[Error].
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
	req, err := rest.NewJSON(rest.Idempotent(ctx), http.MethodPost, c.opts.Endpoint+"/v1/query", map[string]any{
		"query": q.Query,
		"metadata": map[string]any{
			"start_date": q.Start.UTC().Format(time.RFC3339), "end_date": q.End.UTC().Format(time.RFC3339),
			"default_source": "logs", "tier": q.Tier, "syntax": q.Syntax, "limit": q.Limit,
		},
	})
	if err != nil {
		return nil, Skipped{}, fmt.Errorf("audit: query: %w", err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("User-Agent", c.opts.UserAgent)
	res, err := c.send.Send(req)
	if err != nil {
		return nil, Skipped{}, &Error{Service: "audit", Op: "query", Err: err}
	}
	if res.Status != http.StatusOK {
		return nil, Skipped{}, newError(res)
	}
	events, skipped, err := Read(bytes.NewReader(res.Body), c.opts.Read)
	if err != nil {
		return events, skipped, fmt.Errorf("audit: query: reading the response: %w", err)
	}
	return events, skipped, nil
}

// An Error is a failed query. If Cloud Logs gave no response, Status is zero and Err has the
// reason.
type Error = rest.Error

func newError(res *rest.Response) *Error {
	e := &Error{Service: "audit", Op: "query", Status: res.Status, RequestID: rest.Clean(res.Header.Get("X-Request-Id"), res.Secret)}
	var j struct {
		Message string `json:"message"`
		Errors  []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(res.Body, &j) == nil {
		e.Message = j.Message
		if len(j.Errors) > 0 {
			e.Message = j.Errors[0].Message
		}
	}
	e.Message = rest.Clean(e.Message, res.Secret)
	switch e.Status {
	case http.StatusUnauthorized:
		e.Advice = "the token is not valid: check the API key, and run the command again"
	case http.StatusForbidden:
		e.Advice = "the API key needs the role Reader for the instance of IBM Cloud Logs"
	case http.StatusNotFound:
		e.Advice = "check the instance and the region in the endpoint"
	case http.StatusBadRequest:
		e.Advice = "check the query and its syntax"
	}
	return e
}
