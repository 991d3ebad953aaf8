// Package softlayer imports encrypted images into IBM Cloud classic infrastructure
// (SoftLayer), exports templates to Cloud Object Storage, and orders servers.
//
// Start with [New]. [Client.Import] hands an image in object storage over,
// [Client.WaitImport] waits until it is a template, [Client.Order] orders a server
// from it. What costs money or makes something is never repeated blindly: if its
// answer is lost, the client looks for what was made; see [ErrLost].
//
// The package reads no environment and no configuration file, and keeps no secret
// longer than a call. Its errors hold none.
package softlayer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/softlayer/softlayer-go/session"
	"github.com/softlayer/softlayer-go/sl"

	"github.com/luksimg/luksimg/ibm/endpoint"
	"github.com/luksimg/luksimg/internal/rest"
)

// Options say how to reach the API.
type Options struct {
	// Endpoint is the base address of the REST API; "" is IBM's, on the network that
	// Network names: see package endpoint. It must be https, or http on this machine.
	Endpoint string
	Network  string

	// User and APIKey are those of classic infrastructure. With an API key of IAM
	// the user is "apikey".
	User   string
	APIKey string `json:"-"`

	// HTTP makes the calls; nil is a client of its own. Redirects are not followed:
	// a call holds keys. It is not changed.
	HTTP *http.Client

	// Timeout bounds one call; zero is 2 minutes.
	Timeout time.Duration

	// UserAgent names the program; "" is "luksimg".
	UserAgent string

	// Clock is for waiting; nil is the clock of the system.
	Clock Clock

	// Settle is how long what a call whose answer was lost may have made is looked for,
	// before the call is sent again; zero is 2 minutes.
	Settle time.Duration
}

// String tells the configuration without the API key.
func (c Options) String() string {
	return fmt.Sprintf("SoftLayer API %s, user %s", c.endpoint(), c.User)
}

// GoString is String, so that no verb of package fmt shows the API key.
func (c Options) GoString() string { return c.String() }

func (c Options) endpoint() string {
	if c.Endpoint == "" {
		return endpoint.SoftLayer(c.Network)
	}
	return strings.TrimRight(c.Endpoint, "/")
}

// A Clock is what waiting needs of the time, so that tests need not wait.
type Clock = rest.Clock

// A Client calls the API. It is safe for concurrent use.
type Client struct {
	opts Options
	send *rest.Transport
}

// New checks the configuration. It makes no call.
func New(opts Options) (*Client, error) {
	base, err := rest.CheckURL(opts.endpoint())
	if err == nil {
		err = endpoint.Check(opts.Network)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("softlayer: endpoint: %w", err)
	case strings.Contains(base, "/xmlrpc/"):
		// By this the library would choose another protocol.
		return nil, errors.New("softlayer: the endpoint is that of XML-RPC: give the one that ends with /rest/v3.1")
	case opts.User == "" || opts.APIKey == "":
		return nil, &Error{Service: "softlayer", Op: "sign in", Message: "no user or no API key given", Advice: hintCredentials}
	}
	opts.Endpoint = base
	if opts.Timeout <= 0 {
		opts.Timeout = session.DefaultTimeout
	}
	if opts.UserAgent == "" {
		opts.UserAgent = "luksimg"
	}
	c := &Client{opts: opts, send: &rest.Transport{Class: class, Retry: rest.Retry{Timeout: opts.Timeout, Clock: opts.Clock}}}
	rest.NewClient(opts.HTTP, c.send)
	return c, nil
}

// String tells where the client is connected to, without the API key.
func (c *Client) String() string { return c.opts.String() }

// GoString is String, so that no verb of package fmt shows the API key.
func (c *Client) GoString() string { return c.opts.String() }

// call runs f with a session that lives for one call: the library changes its
// session and the HTTP client in it, and keeps the parameters of the last call,
// keys included, as text. secrets are taken out of what the service says.
func (c *Client) call(ctx context.Context, op string, secrets []string, f func(*session.Session) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t := &transport{next: c.send}
	s := &session.Session{
		UserName:         c.opts.User,
		APIKey:           c.opts.APIKey,
		Endpoint:         c.opts.Endpoint,
		HTTPClient:       rest.HTTPClient(&http.Client{Transport: t}),
		Timeout:          time.Hour, // of all attempts
		Context:          ctx,
		TransportHandler: &session.RestTransport{},
		// The library takes a part of its own from the environment.
		Headers: map[string]string{"User-Agent": c.opts.UserAgent},
	}
	err := f(s)
	s.LastCall, s.APIKey = "", ""
	if err == nil && t.failure.Error == "" {
		return nil
	}
	e := &Error{Service: "softlayer", Op: op, Status: t.status, RequestID: t.requestID}
	var api sl.Error
	switch {
	case ctx.Err() != nil:
		e.Err = context.Cause(ctx)
	case t.err != nil:
		e.Err = t.err
	case t.failure.Error != "":
		e.Code, e.Message, e.Answered = t.failure.Code, t.failure.Error, true
	case errors.As(err, &api) && api.Wrapped == nil && t.status >= 300:
		e.Code, e.Message = api.Exception, api.Message
	case t.status != 0:
		e.Message, e.Err = "the answer is not what the API gives", rest.ErrAnswer
	default:
		e.Err = err
	}
	basic := base64.StdEncoding.EncodeToString([]byte(c.opts.User + ":" + c.opts.APIKey))
	secrets = append(secrets, c.opts.APIKey, basic)
	e.Message, e.Code = rest.Clean(e.Message, secrets...), rest.Clean(e.Code, secrets...)
	if e.Code == "SoftLayer_Exception_ObjectNotFound" {
		e.Err = ErrNotFound
	}
	return advised(e)
}

// again is call for what may be sent twice without harm, though it is a POST.
func (c *Client) again(ctx context.Context, op string, secrets []string, f func(*session.Session) error) error {
	return c.call(rest.Idempotent(ctx), op, secrets, f)
}

// badAnswer makes the error of an answer that is none of the API.
func badAnswer(op, what string) error {
	return &Error{Service: "softlayer", Op: op, Status: http.StatusOK, Message: what, Err: rest.ErrAnswer}
}

// unsent makes the error of a call that was not sent.
func unsent(op, message, advice string) error {
	if advice == "" {
		advice = hintFor(message)
	}
	return &Error{Service: "softlayer", Op: op, Message: message, Advice: advice}
}
