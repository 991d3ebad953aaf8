// Package iam is a small client of IBM Cloud Identity and Access Management. It exchanges API keys
// for bearer tokens. It manages the service IDs, API keys, access policies and service-to-service
// authorizations that the import of an encrypted image needs.
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

// Options are the settings of a [Client]. APIKey is required.
type Options struct {
	// URL is the endpoint. "" means IBM's on Network; see package endpoint.
	// It must be https, or http on a loopback address.
	URL     string
	Network string
	// APIKey is the credential. New copies it and trims white space at both ends.
	APIKey []byte
	// Client sends the requests; it never follows redirects. Nil means a new client.
	Client *http.Client
	// Retry bounds the attempts. Its Clock also decides when tokens expire.
	Retry Retry
}

// Retry says how often and how fast requests are retried. The zero value selects the defaults.
type Retry = rest.Retry

// A Client acts for the owner of one API key. It implements [TokenSource] and is safe for
// concurrent use.
type Client struct {
	url   string
	key   string
	send  *rest.Transport // authorized with the client's own tokens
	plain *rest.Transport // without authorization
	retry Retry
	cache cache
}

// New returns a client. It sends no request. An invalid API key is an error that matches [ErrAuth].
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
		return nil, &Error{Service: "iam", Op: "new", Err: ErrAuth, Message: "the API key contains a space or an unprintable character"}
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

// Token returns a bearer token. It reuses the current token until a few minutes before expiry.
// Concurrent callers that need a new token share one request. Errors are of type *[Error].
func (c *Client) Token(ctx context.Context) (Token, error) {
	return c.cache.get(ctx, rest.ClockOr(c.retry.Clock).Now(), c.fetch)
}

// Drop reports that a service refused a token. The next call of Token requests a new one.
func (c *Client) Drop(refused Token) { c.cache.drop(refused) }

// call describes a request to IAM.
type call struct {
	op, method, path string
	query            url.Values
	form             url.Values // body as a form, or
	body             any        // as JSON
	header           http.Header
	anonymous        bool // without a token
	idempotent       bool
	secrets          []string // removed from error messages
}

// do sends a request and decodes the response into v.
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
		return unavailable(&Error{Op: k.op, Status: res.Status, Message: "the response is not the expected JSON"})
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
