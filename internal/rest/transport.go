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

// A Transport sends the requests of one client, with a token and with retries,
// over a connection that [HTTPClient] allows. It reads responses completely before it returns
// them. It is safe for concurrent use, and must not be changed after its first use.
//
// It retries a request after status 429, since the service has not processed it. If the request is
// idempotent, by its method or by [Idempotent], it also retries after a missing response and after a
// 5xx status except 501. After status 401 it sends the request once more with another token.
type Transport struct {
	Next  http.RoundTripper // sends the requests; nil means http.DefaultTransport
	Retry Retry
	// MaxBody limits a response, in bytes; zero means the constant [MaxBody].
	MaxBody int64
	// Tokens returns the bearer tokens; nil if the requests already have credentials.
	Tokens TokenSource
	// Class is for services with other status conventions; nil means [Classify].
	Class func(*Response) Class
	// Expired is for services that report an expired token by other means than status 401.
	Expired func(*Response) bool
}

// NewClient returns a client that sends through t, which may be changed until its first use.
// The client does not follow redirects. It uses only the Transport of own, which may be nil.
func NewClient(own *http.Client, t *Transport) *http.Client {
	guarded := HTTPClient(own)
	t.Next = guarded.Transport
	guarded.Transport, guarded.Timeout = t, 0 // each attempt has its own timeout
	return guarded
}

type idempotentKey struct{}

// Idempotent returns a context that marks requests as idempotent, whatever their method.
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

// ErrToken means that a request was not sent because there was no token.
var ErrToken = errors.New("no token")

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.Send(req)
	if err != nil {
		return nil, err
	}
	return res.HTTP(req), nil
}

// HTTP returns the response as an [http.Response].
func (r *Response) HTTP(req *http.Request) *http.Response {
	return &http.Response{
		Status: http.StatusText(r.Status), StatusCode: r.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.Header, Body: io.NopCloser(bytes.NewReader(r.Body)), ContentLength: int64(len(r.Body)), Request: req,
	}
}

// Send sends a request, and returns the response with the token used.
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

// Permanent reports whether a retry cannot change a connection error.
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

// neverSent reports whether an error means that the request was not sent.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.Is(err, errBuild) || errors.Is(err, ErrAddress) || errors.Is(err, ErrToken) || Permanent(err) ||
		errors.As(err, &op) && op.Op == "dial"
}

// NewJSON returns a request with the JSON encoding of in as its body, or no body if in is nil. Its
// Accept header is JSON.
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
