// Package tang sends requests of package clevis to Tang servers over HTTP. The requests hold no secret, and package
// clevis checks the responses, so plain HTTP is as secure as HTTPS.
package tang

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/luksimg/luksimg/internal/rest"
)

// Errors of requests. Match them with errors.Is.
var (
	// ErrURL means that a text is not the address of a Tang server.
	ErrURL = errors.New("not the address of a Tang server")

	// ErrNoKey means that the server has no key with the thumbprint.
	ErrNoKey = rest.NewRefusal("the server has no such key", rest.ErrNotFound)
)

// maxBody is the largest response in bytes. An advertisement of many keys has about 10 KB.
const maxBody = 64 << 10

// A Client sends requests to Tang servers. It is safe for concurrent use. Do not change its fields after the first
// use. The zero value is ready. It refuses responses larger than 64 KiB and compressed responses.
type Client struct {
	// HTTP sends the requests, without following redirects. Nil uses the transport of net/http.
	HTTP http.RoundTripper

	// Retry bounds the attempts of a request. The zero value makes up to three attempts of ten seconds each.
	Retry rest.Retry
}

const notTang = "check the address: a Tang server serves its keys at "

// defaultTransport is the transport of net/http with a limit for response headers.
var defaultTransport = sync.OnceValue(func() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	t.MaxResponseHeaderBytes = maxBody
	return t
})

// Advertisement returns the advertisement of the server at address. If thumbprint is not "", the server returns the
// advertisement that the key with that thumbprint signed. If it has no such key, the error is [ErrNoKey].
func (c *Client) Advertisement(ctx context.Context, address, thumbprint string) ([]byte, error) {
	path := "adv"
	advice := notTang + address + "/adv"
	if thumbprint != "" {
		path += "/" + url.PathEscape(thumbprint)
		advice = "no signing key of the server has this thumbprint; tang-show-keys or jose jwk thp prints their thumbprints on the server"
	}
	return c.send(ctx, http.MethodGet, address, path, nil, "advertise its keys", advice)
}

// Recover has the server at address multiply point, a JWK, by its exchange key with this thumbprint. It returns the
// product, a JWK. If the server lacks the key, for example after rotation, the error is [ErrNoKey].
func (c *Client) Recover(ctx context.Context, address, thumbprint string, point []byte) ([]byte, error) {
	return c.send(rest.Idempotent(ctx), http.MethodPost, address, "rec/"+url.PathEscape(thumbprint), point, "recover a key",
		"the exchange key of the binding was removed from the server: put its file back into the folder of the keys, or open the image with another key and bind it again")
}

func (c *Client) send(ctx context.Context, method, address, path string, body []byte, op, advice string) ([]byte, error) {
	base, err := check(address)
	if err != nil {
		return nil, err
	}
	fail := func(e rest.Error) error {
		e.Service, e.Op = "tang "+base, op
		return &e
	}
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, base+"/"+path, r)
	if err != nil {
		return nil, fail(rest.Error{Err: err})
	}
	req.Close = true                              // tangd starts a process for each connection
	req.Header.Set("Accept-Encoding", "identity") // keeps net/http from decompressing the response
	if body != nil {
		req.Header.Set("Content-Type", "application/jwk+json")
	}
	t := rest.Transport{Next: c.HTTP, Retry: c.Retry, MaxBody: maxBody}
	if t.Next == nil {
		t.Next = defaultTransport()
	}
	if t.Retry.Attempts == 0 {
		t.Retry.Attempts = 3
	}
	if t.Retry.Timeout == 0 {
		t.Retry.Timeout = 10 * time.Second
	}
	res, err := t.Send(req)
	encoding := ""
	if err == nil {
		encoding = strings.Join(res.Header.Values("Content-Encoding"), ", ")
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, rest.ErrAnswer):
		return nil, fail(rest.Error{Err: err, Advice: notTang + base + "/adv"})
	case encoding != "" && !strings.EqualFold(encoding, "identity"):
		return nil, fail(rest.Error{Err: fmt.Errorf("%w: Content-Encoding %.40q", rest.ErrAnswer, encoding), Advice: notTang + base + "/adv"})
	case err != nil:
		return nil, fail(rest.Error{Err: err, Advice: "check that the server runs and can be reached from here; it serves its keys at " + base + "/adv"})
	case res.Status == http.StatusNotFound:
		return nil, fail(rest.Error{Status: res.Status, Err: ErrNoKey, Advice: advice})
	case !res.OK():
		return nil, fail(rest.Error{Status: res.Status, Message: http.StatusText(res.Status)})
	}
	return res.Body, nil
}

// check validates the address of a server: http or https, with a host, and without user, query and fragment. It
// returns the address without a trailing slash.
func check(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" {
		return "", fmt.Errorf("tang: %q is %w: want http://host or https://host, without user, query and fragment", address, ErrURL)
	}
	return strings.TrimRight(u.String(), "/"), nil
}
