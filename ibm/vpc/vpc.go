// Package vpc imports encrypted images into IBM Cloud VPC and orders instances from
// them.
//
// Start with [New]. [Client.CreateImage] makes an image of a qcow2 file in object
// storage, [Client.WaitImage] waits until it is available, [Client.CreateInstance]
// orders an instance. What makes something is never repeated blindly; see [ErrLost].
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
	"github.com/luksimg/luksimg/internal/rest"
)

// DefaultVersion is the date of the API that the package is written for.
const DefaultVersion = "2025-06-24"

// A TokenSource gives bearer tokens of IAM: package iam has some.
type TokenSource = rest.TokenSource

// A Clock is what waiting needs of the time, so that tests need not wait.
type Clock = rest.Clock

// Options say how to reach the API of a region.
type Options struct {
	Region string // "us-south"; it gives the endpoint if there is none

	// Endpoint is the base address; "" is IBM's, by Region and on the network that Network
	// names: see package endpoint. It must be https, or http on this machine.
	Endpoint string
	Network  string

	Tokens TokenSource

	// HTTP makes the calls; nil is a client of its own. Redirects are not followed.
	HTTP *http.Client

	Timeout       time.Duration // of one call; zero is 2 minutes
	Version       string        // date of the API; "" is [DefaultVersion]
	UserAgent     string        // "" is "luksimg"
	CorrelationID string        // of all calls; "" is a random one
	Clock         Clock         // for waiting; nil is that of the system

	// Settle is how long what a call whose answer was lost may have made is looked for,
	// before the call is sent again; zero is 2 minutes.
	Settle time.Duration
}

// A Client calls the API. It is safe for concurrent use.
type Client struct {
	opts Options
	send *rest.Transport
}

var region = regexp.MustCompile(`^[a-z0-9-]+$`)

// New checks the configuration. It makes no call.
func New(opts Options) (*Client, error) {
	if opts.Endpoint == "" {
		if !region.MatchString(opts.Region) {
			return nil, errors.New("vpc: no endpoint and no region given")
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
		return nil, errors.New("vpc: calls need a source of tokens")
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

// CorrelationID returns what ties the calls together in the logs of the service.
func (c *Client) CorrelationID() string { return c.opts.CorrelationID }

// call makes one call and reads its answer into out.
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
		return badAnswer(e, "the answer is not what the API gives")
	}
	return nil
}

// badAnswer makes e the error of an answer that is none of the API.
func badAnswer(e *Error, what string) error {
	e.Service, e.Message, e.Err = "vpc", what, rest.ErrAnswer
	return advised(e)
}

// once says how an image or an instance is made.
func (c *Client) once() rest.Once {
	return rest.Once{Clock: c.opts.Clock, Settle: c.opts.Settle, Advice: "look whether it was made before repeating the call"}
}
