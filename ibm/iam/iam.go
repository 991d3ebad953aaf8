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

	"github.com/luksimg/luksimg/ibm/endpoint"
	"github.com/luksimg/luksimg/internal/rest"
)

// Options are the settings of a [Client]. Only the API key must be set.
type Options struct {
	// URL is the endpoint, such as that of the sandbox. Empty is IBM's, on the network that
	// Network names; see package endpoint. It must be https, or http on this machine.
	URL     string
	Network string
	// APIKey is the credential. It is copied; spaces and a newline at its ends are removed.
	APIKey []byte
	// Client sends the requests; redirects are not followed. Nil is one of its own.
	Client *http.Client
	// Retry bounds the attempts. Its Clock is that of the tokens.
	Retry Retry
}

// Retry says how often and how fast requests are tried again; its zero value is right.
type Retry = rest.Retry

// A Client talks to IAM as the owner of one API key. It is a [TokenSource], and safe for
// concurrent use.
type Client struct {
	url   string
	key   string
	send  *rest.Transport // with the tokens of the client itself
	plain *rest.Transport // for what needs none
	retry Retry
	cache cache
}

// New returns a client. It sends nothing yet.
func New(o Options) (*Client, error) {
	if err := endpoint.Check(o.Network); err != nil {
		return nil, fmt.Errorf("iam: %w", err)
	}
	if o.URL == "" {
		o.URL = endpoint.IAM(o.Network)
	}
	base, err := rest.CheckURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("iam: %w", err)
	}
	key := string(bytes.TrimSpace(o.APIKey))
	if key == "" {
		return nil, &Error{Service: "iam", Op: "new", Err: ErrAuth, Message: "the API key is empty"}
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, &Error{Service: "iam", Op: "new", Err: ErrAuth, Message: "the API key is not one word of printable characters"}
	}
	c := &Client{url: base, key: key, retry: o.Retry, plain: &rest.Transport{Retry: o.Retry, MaxBody: rest.MaxKeyBody}}
	c.send = &rest.Transport{Retry: o.Retry, MaxBody: rest.MaxKeyBody, Tokens: c}
	rest.NewClient(o.Client, c.plain)
	rest.NewClient(o.Client, c.send)
	return c, nil
}

// String hides the API key from fmt.
func (c *Client) String() string { return "iam.Client(" + c.url + ")" }

// GoString hides the API key from fmt's %#v.
func (c *Client) GoString() string { return c.String() }

// Token returns a bearer token: the one at hand, or a new one some minutes before that
// expires. Callers that need a new one at the same time share one request. Errors are
// *[Error].
func (c *Client) Token(ctx context.Context) (Token, error) {
	return c.cache.get(ctx, rest.ClockOr(c.retry.Clock).Now(), c.fetch)
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

// do sends a request, and decodes the answer into v.
func (c *Client) do(ctx context.Context, k call, v any) error {
	if k.idempotent {
		ctx = rest.Idempotent(ctx)
	}
	req, err := c.request(ctx, k)
	if err != nil {
		return err
	}
	send := c.send
	if k.anonymous {
		send = c.plain
	}
	res, err := send.Send(req)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if e := new(Error); errors.Is(err, rest.ErrToken) && errors.As(err, &e) {
			return e
		}
		return unavailable(&Error{Op: k.op, Err: err})
	}
	if !res.OK() {
		return failure(k.op, res, append(k.secrets, c.key, res.Secret)...)
	}
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(res.Body, v); err != nil {
		return unavailable(&Error{Op: k.op, Status: res.Status, Message: "the answer is not the JSON that was expected"})
	}
	return nil
}

func (c *Client) request(ctx context.Context, k call) (*http.Request, error) {
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
	return req, nil
}
