// Package iam is a small client of IBM Cloud Identity and Access Management: bearer
// tokens from an API key, and the service ids, API keys, access policies and
// service-to-service authorizations that importing an encrypted image needs.
package iam

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/luksimg/luksimg/internal/rest"
)

// DefaultURL is the public endpoint of IAM, the same for all regions.
const DefaultURL = "https://iam.cloud.ibm.com"

// Options are the settings of a [Client]. Only the API key must be set.
type Options struct {
	// URL is the endpoint: another one for the sandbox, or a private network. Empty is
	// DefaultURL. It must be https, or http on this machine.
	URL string
	// APIKey is the credential. It is copied; spaces and a newline at its ends are removed.
	APIKey []byte
	// Client sends the requests; redirects are not followed. Nil is one of its own.
	Client *http.Client
	// Retry bounds the attempts. Its Now is the clock of the tokens.
	Retry Retry
}

// Retry says how often and how fast requests are tried again; its zero value is right.
type Retry = rest.Retry

// A Client talks to IAM as the owner of one API key. It is a [TokenSource], and safe for
// concurrent use.
type Client struct {
	url   string
	key   string
	send  http.RoundTripper
	retry Retry
	cache cache
}

// New returns a client. It sends nothing yet.
func New(o Options) (*Client, error) {
	if o.URL == "" {
		o.URL = DefaultURL
	}
	base, err := rest.CheckURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("iam: %w", err)
	}
	key := string(bytes.TrimSpace(o.APIKey))
	if key == "" {
		return nil, &Error{Op: "new", Err: ErrAuth, Message: "the API key is empty"}
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, &Error{Op: "new", Err: ErrAuth, Message: "the API key is not one word of printable characters"}
	}
	return &Client{url: base, key: key, send: rest.Client{Client: rest.NoRedirects(o.Client)}, retry: o.Retry}, nil
}

// String hides the API key from fmt.
func (c *Client) String() string { return "iam.Client(" + c.url + ")" }

// GoString hides the API key from fmt's %#v.
func (c *Client) GoString() string { return c.String() }

// Token returns a bearer token: the one at hand, or a new one some minutes before that
// expires. Callers that need a new one at the same time share one request. Errors are
// *[Error].
func (c *Client) Token(ctx context.Context) (Token, error) {
	return c.cache.get(ctx, c.retry.Clock()(), c.fetch)
}

// Drop tells that a service refused a token. The next call of Token gets another one.
func (c *Client) Drop(refused Token) { c.cache.drop(refused) }

// call is a request to IAM.
type call struct {
	op, method, path string
	query            url.Values
	form             url.Values // either this
	body             any        // or this, as JSON
	header           http.Header
	anonymous        bool // without a token
	idempotent       bool
	secrets          []string // not to be shown, should they come back in an error
}

// do sends a request, once more with a new token if the first was refused, and decodes the
// answer into v.
func (c *Client) do(ctx context.Context, k call, v any) error {
	for again := false; ; again = true {
		var token Token
		if !k.anonymous {
			var err error
			if token, err = c.Token(ctx); err != nil {
				return err
			}
		}
		res, err := c.retry.Do(ctx, c.send, k.idempotent, func(ctx context.Context) (*http.Request, error) { return c.request(ctx, k, token) })
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return &Error{Op: k.op, Err: fmt.Errorf("%w: %w", ErrUnavailable, err)}
		}
		if res.Status == http.StatusUnauthorized && !k.anonymous && !again {
			c.Drop(token)
			continue
		}
		if !res.OK() {
			return failure(k.op, res, append(k.secrets, c.key, token.secret())...)
		}
		if v == nil {
			return nil
		}
		if err := json.Unmarshal(res.Body, v); err != nil {
			return &Error{Op: k.op, Status: res.Status, Err: ErrUnavailable, Message: "the answer is not the JSON that was expected"}
		}
		return nil
	}
}

func (c *Client) request(ctx context.Context, k call, token Token) (*http.Request, error) {
	address := c.url + k.path
	if len(k.query) > 0 {
		address += "?" + k.query.Encode()
	}
	var body io.Reader
	contentType := ""
	switch {
	case k.form != nil:
		body, contentType = strings.NewReader(k.form.Encode()), "application/x-www-form-urlencoded"
	case k.body != nil:
		text, err := json.Marshal(k.body)
		if err != nil {
			return nil, err
		}
		body, contentType = bytes.NewReader(text), "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, k.method, address, body)
	if err != nil {
		return nil, err
	}
	for name, values := range k.header {
		req.Header[name] = values
	}
	req.Header.Set("Accept", "application/json")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if !k.anonymous {
		req.Header.Set("Authorization", token.Header())
	}
	return req, nil
}

// Errors of IAM, for errors.Is with an *[Error].
var (
	// ErrRefused is IAM saying no, for whatever reason.
	ErrRefused = errors.New("refused by IAM")
	// ErrAuth is an API key or token that is wrong, disabled or expired.
	ErrAuth = errors.New("not authenticated by IAM")
	// ErrDenied is an identity that may not do this.
	ErrDenied = errors.New("not allowed by IAM")
	// ErrUnavailable is no usable answer, after retries.
	ErrUnavailable = errors.New("IAM is unavailable")
)

// An Error is a request to IAM that failed. It holds no credential.
type Error struct {
	Op        string // what was asked for: "token", "create policy", ...
	Status    int    // of HTTP; 0 if there was no answer
	Code      string // of IAM: "BXNIM0415E"
	Message   string // of IAM, cleaned
	RequestID string // what IBM's support asks for
	Err       error  // one of the errors above, or what happened to the connection
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "iam: %s: %v", e.Op, e.Err)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": HTTP %d", e.Status)
	}
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + e.RequestID + ")")
	}
	return b.String()
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Is makes every answer of IAM that says no match [ErrRefused].
func (e *Error) Is(target error) bool {
	return target == ErrRefused && (e.Err == ErrAuth || e.Err == ErrDenied || e.Err == ErrRefused)
}

// Hint says what to do about it, as one sentence; "" if nothing comes to mind.
func (e *Error) Hint() string {
	switch {
	case e.Code == "BXNIM0415E":
		return "the API key does not exist, or was deleted: check that it was copied whole, and that it belongs to this IAM endpoint"
	case errors.Is(e.Err, ErrAuth) && e.Op == "token":
		return "check the API key: make one with: ibmcloud iam api-key-create NAME"
	case errors.Is(e.Err, ErrAuth):
		return "the token has expired or was revoked: log in again"
	case errors.Is(e.Err, ErrDenied):
		return "the identity of this API key needs the role Administrator for what it should set up: ask the owner of the account"
	case e.Status == http.StatusTooManyRequests:
		return "IAM limits the rate of requests: try again in a minute"
	case errors.Is(e.Err, ErrUnavailable):
		return "check the network, and https://cloud.ibm.com/status"
	}
	return ""
}

// failure makes an error of an answer that says no.
func failure(op string, res *rest.Response, secrets ...string) error {
	e := &Error{Op: op, Status: res.Status}
	var body struct {
		ErrorCode    string `json:"errorCode"`
		ErrorMessage string `json:"errorMessage"`
		Context      struct {
			RequestID string `json:"requestId"`
		} `json:"context"`
		Trace  string `json:"trace"`
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(res.Body, &body) == nil {
		e.Code, e.Message, e.RequestID = body.ErrorCode, body.ErrorMessage, body.Context.RequestID
		if e.RequestID == "" {
			e.RequestID = body.Trace
		}
		if e.Code == "" && len(body.Errors) > 0 {
			e.Code, e.Message = body.Errors[0].Code, body.Errors[0].Message
		}
	}
	if e.RequestID == "" {
		e.RequestID = res.Header.Get("Transaction-Id")
	}
	e.Code = rest.Clean(e.Code, secrets...)
	e.Message = rest.Clean(e.Message, secrets...)
	e.RequestID = rest.Clean(e.RequestID, secrets...)
	switch {
	case res.Status == http.StatusUnauthorized, op == "token" && res.Status == http.StatusBadRequest:
		e.Err = ErrAuth
	case res.Status == http.StatusForbidden:
		e.Err = ErrDenied
	case res.Status == http.StatusTooManyRequests, res.Status >= 500:
		e.Err = ErrUnavailable
	default:
		e.Err = ErrRefused
	}
	return e
}
