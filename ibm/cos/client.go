// Package cos is a client of IBM Cloud Object Storage, and of other servers that speak
// the S3 protocol: it carries disk images, which are large, to and fro.
//
// Make a [Client] with [New]. [Client.Upload] sends a file in parallel parts and can be
// resumed after a crash; [Client.UploadStream] and [Client.NewSink] take what is still
// being made. [Client.Download] and [Client.Open] read. All that arrives is compared
// with what was sent.
//
// The package never prints, and keeps no credentials on disk. For proxies it does what
// net/http does by default.
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

// Options say how to reach the service. Exactly one of Tokens and HMAC must be set.
type Options struct {
	Tokens TokenSource
	HMAC   *HMAC

	// Endpoint is the URL of another server, "http://127.0.0.1:9000", for all regions. The
	// default is IBM's, by the region of each object. It must be https, or http on this
	// machine.
	Endpoint string

	// Network chooses among IBM's endpoints: "public", which is the default, "private"
	// from inside IBM Cloud, or "direct" from inside a VPC.
	Network string

	// ServiceInstanceID is the CRN or the GUID of the COS instance. Making a bucket
	// with a token needs it.
	ServiceInstanceID string

	// Transport, if not nil, carries the requests. Large bodies are announced: an
	// [http.Transport] without ExpectContinueTimeout sends them at once all the same, and
	// where they are refused the connection may break before the reason is read.
	Transport http.RoundTripper

	// Attempts is how often a request is sent at most, if it fails in a way that may pass:
	// status 429 or 5xx, or a broken connection. The default is 10,
	// with pauses of a minute or so in all.
	Attempts int

	// Stall is how long a request may go without a byte moving before it counts as
	// broken. The default is a minute.
	Stall time.Duration

	// Clock is what waits between attempts; nil is that of the system.
	Clock rest.Clock
}

// A Client makes requests. It is safe for concurrent use.
type Client struct {
	o        Options
	endpoint *url.URL // nil for IBM's
	http     *http.Client
	auth     *authorizer
	attempts fetch.Attempts
}

// New returns a client. It sends nothing.
func New(o Options) (*Client, error) {
	if fips140.Enforced() { // where MD5 panics
		return nil, errors.New("cos: Object Storage has MD5 in its ETags, which Go's mode fips140=only does not run; fips140=on does")
	}
	if (o.Tokens == nil) == (o.HMAC == nil) {
		return nil, errors.New("cos: needs either a token source or HMAC credentials")
	}
	if o.HMAC != nil && (o.HMAC.AccessKeyID == "" || len(o.HMAC.SecretAccessKey) == 0) {
		return nil, errors.New("cos: HMAC credentials need both an access key and a secret")
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

// String tells the kind of credentials, not the credentials.
func (o Options) String() string {
	kind := "bearer token"
	if o.HMAC != nil {
		kind = o.HMAC.String()
	}
	return fmt.Sprintf("cos client of %q with %s", o.Endpoint, kind)
}

// GoString is String.
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

// newTransport returns a transport for a few large bodies: HTTP/1, as many parts over one
// connection would wait for each other, and larger buffers.
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

// Endpoint returns the URL that serves a region, without a path.
func (c *Client) Endpoint(region string) string { return c.base(region).String() }

func (c *Client) base(region string) *url.URL {
	if c.endpoint != nil {
		u := *c.endpoint
		return &u
	}
	u, err := url.Parse(endpoint.ObjectStorage(region, c.o.Network))
	if err != nil {
		return &url.URL{Scheme: "https"} // of a region that no URI can name
	}
	return u
}
