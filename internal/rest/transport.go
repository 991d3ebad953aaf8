package rest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// A Transport sends the requests of one client: with a token, as often as it takes, and
// over what [HTTPClient] lets through. It reads answers to their end before it returns
// them. It is safe for concurrent use, and not to be changed after its first use.
//
// A request is tried again when its answer has status 429, for then the service has not
// begun with it. One that may be sent twice without harm, by its method or since
// [Idempotent] says so, also when there was no answer, or one with a status of the 500s but
// 501. An answer 401 has it sent once more with another token.
type Transport struct {
	Next  http.RoundTripper // what sends; nil is that of net/http
	Retry Retry
	// MaxBody bounds an answer, in bytes; zero is the constant of that name.
	MaxBody int64
	// Tokens is where bearer tokens come from; nil for requests that have their
	// credentials already.
	Tokens TokenSource
	// Class is for services that do not tell by the status; nil is [Classify].
	Class func(*Response) Class
	// Expired is for services that do not tell by status 401 that a token is not good.
	Expired func(*Response) bool
}

// NewClient returns a client that sends by t, which may be changed until its first use.
// Redirects are not followed. own is whose transport, and no more, is used; it may be nil.
func NewClient(own *http.Client, t *Transport) *http.Client {
	guarded := HTTPClient(own)
	t.Next = guarded.Transport
	guarded.Transport, guarded.Timeout = t, 0 // each attempt has its own
	return guarded
}

type idempotentKey struct{}

// Idempotent returns a context for requests that may be sent twice without harm, whatever
// their method.
func Idempotent(ctx context.Context) context.Context {
	return context.WithValue(ctx, idempotentKey{}, true)
}

func idempotent(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions:
		return true
	}
	said, _ := r.Context().Value(idempotentKey{}).(bool)
	return said
}

// ErrToken is a request that was not sent, as there was no token.
var ErrToken = errors.New("no token")

// RoundTrip sends a request.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.Send(req)
	if err != nil {
		return nil, err
	}
	return res.HTTP(req), nil
}

// HTTP returns the answer as net/http has it.
func (r *Response) HTTP(req *http.Request) *http.Response {
	return &http.Response{
		Status: http.StatusText(r.Status), StatusCode: r.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.Header, Body: io.NopCloser(bytes.NewReader(r.Body)), ContentLength: int64(len(r.Body)), Request: req,
	}
}

// Send sends a request, and returns the answer with the token that it was asked for with.
func (t *Transport) Send(req *http.Request) (*Response, error) {
	ctx := req.Context()
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		req.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errBuild, err)
		}
	}
	class, expired := t.Class, t.Expired
	if class == nil {
		class = Classify
	}
	if expired == nil {
		expired = func(r *Response) bool { return r.Status == http.StatusUnauthorized }
	}
	next := t.Next
	if next == nil {
		next = guard{}
	}
	retry := t.Retry
	retry.maxBody = t.MaxBody
	for again := false; ; again = true {
		var token Token
		if t.Tokens != nil {
			var err error
			if token, err = t.Tokens.Token(ctx); err != nil {
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
				return nil, fmt.Errorf("%w: %w", ErrToken, err)
			}
		}
		res, err := retry.do(ctx, next, class, idempotent(req), func(ctx context.Context) (*http.Request, error) {
			r := req.Clone(ctx)
			if req.Body != nil {
				r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			}
			if t.Tokens != nil {
				r.Header.Set("Authorization", token.Header())
			}
			return r, nil
		})
		if err != nil {
			return nil, err
		}
		res.Secret = token.secret()
		if dropper, ok := t.Tokens.(Dropper); ok && !again && expired(res) {
			dropper.Drop(token)
			continue
		}
		return res, nil
	}
}

// Permanent reports whether no further attempt will change an error of a connection.
func Permanent(err error) bool {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &certificate), errors.As(err, &authority):
		return true
	case errors.As(err, &dns):
		return dns.IsNotFound
	}
	return false
}

// neverSent reports whether an error is one of a request that never left.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.Is(err, errBuild) || errors.Is(err, ErrAddress) || errors.Is(err, ErrToken) || Permanent(err) ||
		errors.As(err, &op) && op.Op == "dial"
}

// NewJSON returns a request whose body is in as JSON, or has none if in is nil, and that
// asks for JSON.
func NewJSON(ctx context.Context, method, url string, in any) (*http.Request, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}
