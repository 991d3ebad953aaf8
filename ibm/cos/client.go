// Package cos is a client of IBM Cloud Object Storage and other S3-compatible servers. It uploads
// and downloads large disk images.
//
// [New] returns a [Client]. [Client.Upload] sends a file in parallel parts and can
// resume after a crash. [Client.UploadStream] and [Client.NewSink] upload data as it
// is produced. [Client.Download] and [Client.Open] read objects. The client verifies the checksums
// of all transferred data.
//
// The package never prints, and stores no credentials on disk. It honors the same proxy settings
// as net/http.
package cos

import (
	"crypto/fips140"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/luksimg/luksimg/ibm/endpoint"
	"github.com/luksimg/luksimg/internal/fetch"
	"github.com/luksimg/luksimg/internal/rest"
)

// Options are the settings of a [Client]. Exactly one of Tokens and HMAC must be set.
type Options struct {
	Tokens TokenSource
	HMAC   *HMAC

	// Endpoint is the URL of a server for all regions, such as "http://127.0.0.1:9000". ""
	// means IBM's endpoint for the region of each object. It must be https, or http on a loopback
	// address.
	Endpoint string

	// Network selects IBM's endpoints: "public" (the default), "private" from inside IBM Cloud, or
	// "direct" from inside a VPC.
	Network string

	// ServiceInstanceID is the CRN or GUID of the COS instance. It is required to create a
	// bucket with a token.
	ServiceInstanceID string

	// Transport, if not nil, sends the requests. Large requests have "Expect: 100-continue". An
	// [http.Transport] without ExpectContinueTimeout sends the body immediately. If the server then
	// refuses it, the connection can break before the client reads the reason.
	Transport http.RoundTripper

	// Attempts is the maximum number of attempts for a request that fails with status 429 or 5xx,
	// or a broken connection. Zero means 10, with about a minute of pauses in total.
	Attempts int

	// Stall is the time without progress after which a request counts as broken. Zero means a
	// minute.
	Stall time.Duration

	// Clock waits between attempts; nil means the system clock.
	Clock rest.Clock
}

// A Client sends requests. It is safe for concurrent use.
type Client struct {
	o        Options
	endpoint *url.URL // nil for IBM's
	http     *http.Client
	auth     *authorizer
	attempts fetch.Attempts
}

// New returns a client. It validates o and sends no request.
func New(o Options) (*Client, error) {
	if fips140.Enforced() { // where MD5 panics
		return nil, errors.New("cos: Object Storage uses MD5 in ETags, which GODEBUG=fips140=only forbids: use fips140=on")
	}
	if (o.Tokens == nil) == (o.HMAC == nil) {
		return nil, errors.New("cos: exactly one of a token source and HMAC credentials is required")
	}
	if o.HMAC != nil && (o.HMAC.AccessKeyID == "" || len(o.HMAC.SecretAccessKey) == 0) {
		return nil, errors.New("cos: HMAC credentials require an access key and a secret")
	}
	if err := endpoint.Check(o.Network); err != nil {
		return nil, fmt.Errorf("cos: %w", err)
	}
	c := &Client{o: o}
	if o.Endpoint != "" {
		u, err := parseEndpoint(o.Endpoint)
		if err != nil {
			return nil, err
		}
		c.endpoint = u
	}
	if c.o.Stall <= 0 {
		c.o.Stall = time.Minute
	}
	c.o.Clock = rest.ClockOr(c.o.Clock)
	c.attempts = fetch.Attempts{Max: o.Attempts, Clock: c.o.Clock, Passing: answerPasses}
	transport := o.Transport
	if transport == nil {
		transport = newTransport()
	}
	c.http = rest.HTTPClient(&http.Client{Transport: transport})
	c.auth = &authorizer{tokens: o.Tokens, hmac: o.HMAC, now: c.o.Clock.Now}
	return c, nil
}

// String describes the options, without the credentials.
func (o Options) String() string {
	kind := "bearer token"
	if o.HMAC != nil {
		kind = o.HMAC.String()
	}
	return fmt.Sprintf("cos client of %q with %s", o.Endpoint, kind)
}

// GoString returns String, so that %#v does not show the credentials.
func (o Options) GoString() string { return o.String() }

func parseEndpoint(endpoint string) (*url.URL, error) {
	base, err := rest.CheckURL(endpoint)
	if err != nil {
		return nil, fmt.Errorf("cos: endpoint: %w", err)
	}
	u, err := url.Parse(base)
	if err != nil || u.Path != "" {
		return nil, fmt.Errorf("cos: endpoint: %w: it must have no path", rest.ErrAddress)
	}
	return u, nil
}

// newTransport returns a transport tuned for a few large bodies. It uses HTTP/1, because parallel parts
// would share one HTTP/2 connection, and larger buffers.
func newTransport() *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 20 * time.Second, IdleConnTimeout: 90 * time.Second, ExpectContinueTimeout: time.Second}
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.DialContext = (&net.Dialer{Timeout: 20 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	t.MaxIdleConnsPerHost = 64
	t.WriteBufferSize = 128 << 10
	t.ReadBufferSize = 128 << 10
	t.DisableCompression = true
	return t
}

// Endpoint returns the URL of the server for a region, without a path.
func (c *Client) Endpoint(region string) string { return c.base(region).String() }

func (c *Client) base(region string) *url.URL {
	if c.endpoint != nil {
		u := *c.endpoint
		return &u
	}
	u, err := url.Parse(endpoint.ObjectStorage(region, c.o.Network))
	if err != nil {
		return &url.URL{Scheme: "https"} // the region is invalid
	}
	return u
}
