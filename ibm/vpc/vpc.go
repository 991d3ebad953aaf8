// Package vpc imports encrypted images into IBM Cloud VPC and orders instances from
// them.
//
// Start with [New]. [Client.CreateImage] makes an image of a qcow2 file in object
// storage, [Client.WaitImage] waits until it is available, [Client.CreateInstance]
// orders an instance. What makes something is never repeated blindly; see [ErrLost].
// The package keeps no secret, and its errors hold none.
package vpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/luksimg/luksimg/internal/rest"
)

// DefaultVersion is the date of the API that the package is written for.
const DefaultVersion = "2025-06-24"

// A TokenSource gives bearer tokens of IAM.
type TokenSource interface {
	Token(ctx context.Context) (string, error)
}

// A Clock is what waiting needs of the time, so that tests need not wait.
type Clock interface {
	Now() time.Time
	After(time.Duration) <-chan time.Time
}

type systemClock struct{}

func (systemClock) Now() time.Time                         { return time.Now() }
func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Config says how to reach the API of a region.
type Config struct {
	Region string // "us-south"; it gives the endpoint if there is none

	// Endpoint is the base address, https://REGION.iaas.cloud.ibm.com if "". It must be
	// https, or http on this machine.
	Endpoint string

	Tokens TokenSource

	// HTTP makes the calls; nil is a client of its own. Redirects are not followed.
	HTTP *http.Client

	Timeout       time.Duration // of one call; zero is 2 minutes
	Version       string        // date of the API; "" is [DefaultVersion]
	UserAgent     string        // "" is "luksimg"
	CorrelationID string        // of all calls; "" is a random one
	Clock         Clock         // for waiting between polls; nil is that of the system
}

// A Client calls the API. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client
}

var region = regexp.MustCompile(`^[a-z0-9-]+$`)

// New checks the configuration. It makes no call.
func New(cfg Config) (*Client, error) {
	if cfg.Endpoint == "" {
		if !region.MatchString(cfg.Region) {
			return nil, errors.New("vpc: no endpoint and no region given")
		}
		cfg.Endpoint = "https://" + cfg.Region + ".iaas.cloud.ibm.com"
	}
	base, err := rest.CheckURL(cfg.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("vpc: endpoint: %w", err)
	}
	if cfg.Tokens == nil {
		return nil, errors.New("vpc: calls need a source of tokens")
	}
	cfg.Endpoint = strings.TrimSuffix(base, "/v1")
	if cfg.Timeout <= 0 {
		cfg.Timeout = 2 * time.Minute
	}
	if cfg.Version == "" {
		cfg.Version = DefaultVersion
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "luksimg"
	}
	if cfg.CorrelationID == "" {
		cfg.CorrelationID = uuid.NewString()
	}
	if cfg.Clock == nil {
		cfg.Clock = systemClock{}
	}
	return &Client{cfg: cfg, http: rest.HTTPClient(cfg.HTTP)}, nil
}

// CorrelationID returns what ties the calls together in the logs of the service.
func (c *Client) CorrelationID() string { return c.cfg.CorrelationID }

// maxAnswer bounds the body of an answer in bytes.
const maxAnswer = 16 << 20

// call makes one call and reads its answer into out.
func (c *Client) call(ctx context.Context, op, method, path string, query url.Values, in, out any) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	token, err := c.cfg.Tokens.Token(ctx)
	if err != nil {
		return fmt.Errorf("vpc: %s: no token: %w", op, err)
	}
	var body []byte
	if in != nil {
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("vpc: %s: %w", op, err)
		}
	}
	if query == nil {
		query = url.Values{}
	}
	query.Set("version", c.cfg.Version)
	query.Set("generation", "2")
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.cfg.Endpoint+"/v1/"+path+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("vpc: %s: %w", op, err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	req.Header.Set("X-Correlation-Id", c.cfg.CorrelationID)
	e := &Error{Op: op, CorrelationID: c.cfg.CorrelationID}
	resp, err := c.http.Do(req)
	if err != nil {
		if e.err = err; whole.Err() != nil {
			e.err = context.Cause(whole)
		}
		return e
	}
	defer resp.Body.Close()
	e.Status = resp.StatusCode
	e.RequestID = clean(resp.Header.Get("X-Request-Id"), token)
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil || len(text) > maxAnswer {
		e.Message, e.err = "the answer was cut off", errAnswer
		return e
	}
	known := e.read(text, token)
	if resp.StatusCode < 200 || resp.StatusCode > 299 || known {
		if !known {
			e.err = errAnswer
		}
		return e
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		e.Message, e.err = "the answer is not what the API gives", errAnswer
		return e
	}
	return nil
}

var errAnswer = errors.New("unexpected answer")

// sleep waits for d of the clock, or for ctx.
func (c *Client) sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.cfg.Clock.After(d):
		return nil
	}
}
