// Package vpc imports encrypted images into IBM Cloud VPC and orders instances from
// them.
//
// [New] returns a [Client]. [Client.CreateImage] creates an image from a qcow2 file in object
// storage, [Client.WaitImage] waits until it is available, and [Client.CreateInstance]
// orders an instance. The client does not retry creating calls blindly; see [ErrLost].
// The package keeps no secret, and its errors hold none.
package vpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/luksimg/luksimg/ibm/endpoint"
	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/internal/rest"
)

// DefaultVersion is the API version that the package requests by default.
const DefaultVersion = "2025-06-24"

// A TokenSource returns IAM bearer tokens. Package iam has implementations.
type TokenSource = rest.TokenSource

// A Clock provides time and waiting; tests replace it.
type Clock = rest.Clock

// Options are the settings of a [Client]. Tokens and one of Region and Endpoint must be set.
type Options struct {
	Region string // "us-south"; selects the endpoint if Endpoint is ""

	// Endpoint is the base address. "" means IBM's endpoint for Region on Network;
	// see package endpoint. It must be https, or http on a loopback address.
	Endpoint string
	Network  string

	Tokens TokenSource

	// HTTP sends the requests; nil means a new client. Redirects are not followed.
	HTTP *http.Client

	Timeout       time.Duration // of one call; zero means 2 minutes
	Version       string        // API version date; "" means [DefaultVersion]
	UserAgent     string        // "" means "luksimg"
	CorrelationID string        // of all calls; "" means a random one
	Clock         Clock         // for waiting; nil means the system clock

	// Settle is how long to look for the result of a call whose reply was lost,
	// before the call is sent again; zero means 2 minutes.
	Settle time.Duration
}

// A Client calls the API. It is safe for concurrent use.
type Client struct {
	opts Options
	send *rest.Transport
}

var region = regexp.MustCompile(`^[a-z0-9-]+$`)

// New returns a client. It validates opts and sends no request.
func New(opts Options) (*Client, error) {
	if opts.Endpoint == "" {
		if !region.MatchString(opts.Region) {
			return nil, advice.With(fmt.Errorf("vpc: no endpoint and no region: %.40q", opts.Region), "name a region with --region, such as us-south")
		}
		if err := endpoint.Check(opts.Network); err != nil {
			return nil, fmt.Errorf("vpc: %w", err)
		}
		opts.Endpoint = endpoint.VPC(opts.Region, opts.Network)
	}
	base, err := rest.CheckURL(opts.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("vpc: endpoint: %w", err)
	}
	if opts.Tokens == nil {
		return nil, errors.New("vpc: a token source is required")
	}
	opts.Endpoint = strings.TrimSuffix(base, "/v1")
	if opts.Timeout <= 0 {
		opts.Timeout = 2 * time.Minute
	}
	if opts.Version == "" {
		opts.Version = DefaultVersion
	}
	if opts.UserAgent == "" {
		opts.UserAgent = "luksimg"
	}
	if opts.CorrelationID == "" {
		opts.CorrelationID = uuid.NewString()
	}
	c := &Client{opts: opts, send: &rest.Transport{Tokens: opts.Tokens, Retry: rest.Retry{Timeout: opts.Timeout, Clock: opts.Clock}}}
	rest.NewClient(opts.HTTP, c.send)
	return c, nil
}

// CorrelationID returns the correlation ID that all calls send to the service.
func (c *Client) CorrelationID() string { return c.opts.CorrelationID }

// call makes one call and reads its response into out.
func (c *Client) call(ctx context.Context, op, method, path string, query url.Values, in, out any) error {
	if query == nil {
		query = url.Values{}
	}
	query.Set("version", c.opts.Version)
	query.Set("generation", "2")
	req, err := rest.NewJSON(ctx, method, c.opts.Endpoint+"/v1/"+path+"?"+query.Encode(), in)
	if err != nil {
		return fmt.Errorf("vpc: %s: %w", op, err)
	}
	req.Header.Set("User-Agent", c.opts.UserAgent)
	req.Header.Set("X-Correlation-Id", c.opts.CorrelationID)
	e := &Error{Service: "vpc", Op: op, CorrelationID: c.opts.CorrelationID}
	res, err := c.send.Send(req)
	if err != nil {
		e.Err = err
		return advised(e)
	}
	e.Status = res.Status
	e.RequestID = rest.Clean(res.Header.Get("X-Request-Id"), res.Secret)
	known := read(e, res.Body, res.Secret)
	switch {
	case !res.OK() || known:
		return advised(e)
	case out == nil:
		return nil
	case json.Unmarshal(res.Body, out) != nil:
		return badAnswer(e, "the response does not have the format of the API")
	}
	return nil
}

// badAnswer completes e as the error for a response that does not conform to the API.
func badAnswer(e *Error, what string) error {
	e.Service, e.Message, e.Err = "vpc", what, rest.ErrAnswer
	return advised(e)
}

// once returns the settings for creating an image or an instance.
func (c *Client) once() rest.Once {
	return rest.Once{Clock: c.opts.Clock, Settle: c.opts.Settle, Advice: "check whether it was created before repeating the call"}
}
