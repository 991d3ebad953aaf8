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

	"github.com/luksimg/luksimg/internal/rest"
)

// DefaultEndpoint is the public REST API. The private network has
// https://api.service.softlayer.com/rest/v3.1.
const DefaultEndpoint = "https://api.softlayer.com/rest/v3.1"

// Config says how to reach the API.
type Config struct {
	// Endpoint is the base address of the REST API; "" is [DefaultEndpoint]. It must be
	// https, or http on this machine.
	Endpoint string

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

	// Clock is for waiting between polls; nil is the clock of the system.
	Clock Clock
}

// String tells the configuration without the API key.
func (c Config) String() string {
	return fmt.Sprintf("SoftLayer API %s, user %s", c.endpoint(), c.User)
}

// GoString is String, so that no verb of package fmt shows the API key.
func (c Config) GoString() string { return c.String() }

func (c Config) endpoint() string {
	if c.Endpoint == "" {
		return DefaultEndpoint
	}
	return strings.TrimRight(c.Endpoint, "/")
}

// A Clock is what waiting needs of the time, so that tests need not wait.
type Clock interface {
	Now() time.Time
	After(time.Duration) <-chan time.Time
}

type systemClock struct{}

func (systemClock) Now() time.Time                         { return time.Now() }
func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// A Client calls the API. It is safe for concurrent use.
type Client struct {
	cfg Config
}

// New checks the configuration. It makes no call.
func New(cfg Config) (*Client, error) {
	base, err := rest.CheckURL(cfg.endpoint())
	switch {
	case err != nil:
		return nil, fmt.Errorf("softlayer: endpoint: %w", err)
	case strings.Contains(base, "/xmlrpc/"):
		// By this the library would choose another protocol.
		return nil, errors.New("softlayer: the endpoint is that of XML-RPC: give the one that ends with /rest/v3.1")
	case cfg.User == "" || cfg.APIKey == "":
		return nil, &Error{Op: "sign in", Message: "no user or no API key given", hint: hintCredentials}
	}
	cfg.Endpoint = base
	if cfg.Timeout <= 0 {
		cfg.Timeout = session.DefaultTimeout
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "luksimg"
	}
	if cfg.Clock == nil {
		cfg.Clock = systemClock{}
	}
	return &Client{cfg: cfg}, nil
}

// String tells where the client is connected to, without the API key.
func (c *Client) String() string { return c.cfg.String() }

// GoString is String, so that no verb of package fmt shows the API key.
func (c *Client) GoString() string { return c.cfg.String() }

// call runs f with a session that lives for one call: the library changes its
// session and the HTTP client in it, and keeps the parameters of the last call,
// keys included, as text. secrets are taken out of what the service says.
func (c *Client) call(ctx context.Context, op string, secrets []string, f func(*session.Session) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	h := rest.HTTPClient(c.cfg.HTTP)
	t := &transport{next: h.Transport}
	h.Transport = t
	s := &session.Session{
		UserName:         c.cfg.User,
		APIKey:           c.cfg.APIKey,
		Endpoint:         c.cfg.Endpoint,
		HTTPClient:       h,
		Timeout:          c.cfg.Timeout,
		Context:          ctx,
		TransportHandler: &session.RestTransport{},
		// The library takes a part of its own from the environment.
		Headers: map[string]string{"User-Agent": c.cfg.UserAgent},
	}
	err := f(s)
	s.LastCall, s.APIKey = "", ""
	if err == nil && t.failure == nil {
		return nil
	}
	e := &Error{Op: op, Status: t.status, RequestID: t.requestID}
	var api sl.Error
	switch {
	case t.failure != nil:
		e.Code, e.Message = t.failure.Code, t.failure.Error
	case errors.As(err, &api) && api.Wrapped == nil && t.status >= 300:
		e.Code, e.Message = api.Exception, api.Message
	case t.status != 0 && !t.whole:
		e.Message, e.err = "the answer was cut off", err
	case t.status != 0:
		e.Message, e.err = "the answer is not what the API gives", errAnswer
	default:
		// No answer. An error of net/http names the address, which has no secret.
		if errors.As(err, &api) && api.Wrapped != nil {
			err = api.Wrapped
		}
		e.err = err
		if ctx.Err() != nil {
			e.err = context.Cause(ctx)
		}
	}
	basic := base64.StdEncoding.EncodeToString([]byte(c.cfg.User + ":" + c.cfg.APIKey))
	e.Message = clean(e.Message, append(secrets, c.cfg.APIKey, basic))
	e.Code = clean(e.Code, append(secrets, c.cfg.APIKey, basic))
	return e
}

var errAnswer = errors.New("unexpected answer")
