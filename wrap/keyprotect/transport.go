package keyprotect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	kp "github.com/IBM/keyprotect-go-client"
	"github.com/google/uuid"

	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
)

// A call is one use of the service's Go client. That client needs guarding: it retries any request, by package
// variables; it prints errors that it cannot parse; and it panics if a response lacks a key that it expects. The
// transport beneath it therefore handles tokens, attempts and errors.
type call struct {
	op         string
	idempotent bool
	wantKey    bool   // the response must hold a key
	secret     []byte // the key as base64 text, which no error may quote

	cancel context.CancelFunc
	err    error // set by the transport
}

type callKey struct{}

// call runs f, which calls the service's Go client with the context that it receives.
func (c *Client) call(ctx context.Context, k call, f func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	id, err := uuid.Parse(c.correlation)
	if err != nil {
		id = uuid.New()
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	k.cancel = cancel
	inner = context.WithValue(inner, callKey{}, &k)
	inner = kp.NewContextWithCorrelationID(inner, &id)
	inner = kp.NewContextWithAuth(inner, "Bearer") // the transport sets the real token

	err = f(inner)
	switch {
	case k.err != nil:
		err = k.err
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		// Not err itself, which can quote the response.
		err = unavailable(k.op, "the service's client cannot read the response", nil)
	}
	var e *Error
	if errors.As(err, &e) && e.CorrelationID == "" {
		e.CorrelationID = id.String()
	}
	return err
}

// transport is a Client as the http.RoundTripper of the service's Go client.
type transport Client

// RoundTrip sends a request with a token, and retries it. It returns only responses that the service's Go client can
// handle. Any other response ends the call.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	k, ok := req.Context().Value(callKey{}).(*call)
	if !ok {
		return nil, errors.New("key protect: request outside of a call")
	}
	res, err := t.roundTrip(req, k)
	if err != nil {
		k.err = err
		k.cancel() // stops the retries of the service's client
		return nil, err
	}
	return res, nil
}

func (t *transport) roundTrip(req *http.Request, k *call) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		req.Body.Close()
		if err != nil {
			return nil, unavailable(k.op, "", err)
		}
	}
	ctx := req.Context()
	correlation := req.Header.Get("Correlation-Id")
	if correlation == "" {
		correlation = kp.GetCorrelationID(ctx).String()
	}
	if k.idempotent {
		ctx = rest.Idempotent(ctx)
	}
	r, err := http.NewRequestWithContext(ctx, req.Method, req.URL.String(), bytes.NewReader(body))
	if err != nil {
		return nil, unavailable(k.op, "", err)
	}
	r.Header = req.Header.Clone()
	r.Header.Set("Correlation-Id", correlation)
	if r.Header.Get("Content-Type") == "" && len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := t.send.Send(r)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, rest.ErrToken):
		return nil, k.tokenError(ctx, err)
	case err != nil:
		return nil, k.failed(wrap.ErrUnavailable, &Error{CorrelationID: correlation}, err)
	case !res.OK():
		return nil, failure(k, res, correlation)
	}
	return t.answer(req, k, res, correlation)
}

// expired reports whether the service refused the token, which may have expired early.
func expired(res *rest.Response) bool {
	return !res.OK() && errors.Is(failure(&call{}, res, ""), wrap.ErrAuth)
}

// answer checks a successful response and converts it for the service's Go client.
func (t *transport) answer(req *http.Request, k *call, res *rest.Response, correlation string) (*http.Response, error) {
	bad := k.failed(wrap.ErrUnavailable, &Error{Status: res.Status, CorrelationID: correlation, Message: "the response does not fit the request"}, rest.ErrAnswer)
	switch res.Status {
	case http.StatusOK, http.StatusCreated:
		// The response to a new key ring is empty (key-protect, key-rings.md).
		if empty := res.Status == http.StatusCreated && !k.wantKey && len(res.Body) == 0; !empty && !json.Valid(res.Body) {
			return nil, bad
		}
	case http.StatusNoContent:
		if k.wantKey {
			return nil, bad
		}
	default:
		return nil, bad
	}
	if k.wantKey {
		var keys struct {
			Resources []json.RawMessage `json:"resources"`
		}
		if json.Unmarshal(res.Body, &keys) != nil || len(keys.Resources) == 0 {
			return nil, bad
		}
	}
	return &http.Response{
		Status: http.StatusText(res.Status), StatusCode: res.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: res.Header, Body: &wiped{bytes.NewReader(res.Body), res.Body}, ContentLength: int64(len(res.Body)), Request: req,
	}, nil
}

// wiped is a response body that can hold a key. Close overwrites it, after the service's Go client has read it.
type wiped struct {
	*bytes.Reader
	body []byte
}

func (w *wiped) Close() error {
	clear(w.body)
	return nil
}

func (k *call) tokenError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, iam.ErrRefused) {
		return k.failed(wrap.ErrAuth, &Error{}, err)
	}
	return unavailable(k.op, "", err)
}
