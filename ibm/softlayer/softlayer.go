// Package softlayer imports encrypted images into IBM Cloud classic infrastructure
// (SoftLayer), exports templates to Cloud Object Storage, and orders servers.
//
// [New] returns a [Client]. [Client.Import] imports an image from object storage,
// [Client.WaitImport] waits until it is a template, and [Client.Order] orders a server from it. The
// client does not retry creating calls blindly: if the reply is lost, it looks for what was
// created; see [ErrLost].
//
// The package reads no environment and no configuration file. It keeps secrets only
// during a call. Its errors hold none.
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

// Options are the settings of a [Client]. User and APIKey must be set.
type Options struct {
	// Endpoint is the base address of the REST API. "" means IBM's endpoint on Network;
	// see package endpoint. It must be https, or http on a loopback address.
	Endpoint string
	Network  string

	// User and APIKey are the credentials of classic infrastructure. With an IAM API key,
	// User is "apikey".
	User   string
	APIKey string `json:"-"`

	// HTTP sends the requests; nil means a new client. Redirects are not followed, since
	// requests hold keys. HTTP is not modified.
	HTTP *http.Client

	// Timeout limits one call; zero means 2 minutes.
	Timeout time.Duration

	// UserAgent identifies the program; "" means "luksimg".
	UserAgent string

	// Clock is used for waiting; nil means the system clock.
	Clock Clock

	// Settle is how long to look for the result of a call whose reply was lost,
	// before the call is sent again; zero means 2 minutes.
	Settle time.Duration
}

// String describes the configuration without the API key.
func (c Options) String() string {
	return fmt.Sprintf("SoftLayer API %s, user %s", c.endpoint(), c.User)
}

// GoString returns String, so that %#v does not show the API key.
func (c Options) GoString() string { return c.String() }

func (c Options) endpoint() string {
	if c.Endpoint == "" {
		return endpoint.SoftLayer(c.Network)
	}
	return strings.TrimRight(c.Endpoint, "/")
}

// A Clock provides time and waiting; tests replace it.
type Clock = rest.Clock

// A Client calls the API. It is safe for concurrent use.
type Client struct {
	opts Options
	send *rest.Transport
}

// New returns a client. It validates opts and sends no request.
func New(opts Options) (*Client, error) {
	base, err := rest.CheckURL(opts.endpoint())
	if err == nil {
		err = endpoint.Check(opts.Network)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("softlayer: endpoint: %w", err)
	case strings.Contains(base, "/xmlrpc/"):
		// With such an endpoint the library would use XML-RPC.
		return nil, errors.New("softlayer: XML-RPC endpoints are not supported: give the one that ends with /rest/v3.1")
	case opts.User == "" || opts.APIKey == "":
		return nil, &Error{Service: "softlayer", Op: "sign in", Message: "no user or no API key", Advice: hintCredentials}
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

// String describes the endpoint and user, without the API key.
func (c *Client) String() string { return c.opts.String() }

// GoString returns String, so that %#v does not show the API key.
func (c *Client) GoString() string { return c.opts.String() }

// call runs f with a session that lives for one call. The library modifies its session and
// HTTP client, and keeps the parameters of the last call as text, including
// keys. call removes secrets from messages of the service.
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
		Timeout:          time.Hour, // for all attempts together
		Context:          ctx,
		TransportHandler: &session.RestTransport{},
		// The library would add a part from the environment.
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
	case t.status == http.StatusUnauthorized, t.status == http.StatusForbidden:
		// A gateway in front of the API refused the call, without an error of the API.
	case t.status != 0:
		e.Message, e.Err = "the response does not have the format of the API", rest.ErrAnswer
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

// again is call for POST requests that are idempotent.
func (c *Client) again(ctx context.Context, op string, secrets []string, f func(*session.Session) error) error {
	return c.call(rest.Idempotent(ctx), op, secrets, f)
}

// badAnswer returns the error for a response that does not conform to the API.
func badAnswer(op, what string) error {
	return &Error{Service: "softlayer", Op: op, Status: http.StatusOK, Message: what, Err: rest.ErrAnswer}
}

// unsent returns the error for a call that was not sent.
func unsent(op, message, advice string) error {
	if advice == "" {
		advice = hintFor(message)
	}
	return &Error{Service: "softlayer", Op: op, Message: message, Advice: advice}
}
