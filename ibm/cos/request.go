package cos

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/luksimg/luksimg/internal/fetch"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/sigv4"
)

const (
	maxAnswer = 4 << 20  // of XML: a list of a thousand parts has about 256 KiB
	maxError  = 64 << 10 // of an XML error response

	// expectAbove is the size in bytes above which a request waits for 100 Continue before it
	// sends the body. This avoids sending the body with an expired token.
	expectAbove = 1 << 20
)

// A request is one call of the S3 API.
type request struct {
	method string
	at     Object // the key is "" for bucket calls
	query  url.Values
	header http.Header
	body   *payload // nil for none
	stall  time.Duration
	once   bool // must not be retried blindly

	secret string // the credential of the last attempt
}

// A payload is the body of a request: a range of a source, with its sums.
type payload struct {
	src       io.ReaderAt
	off, size int64
	md5       []byte // 16 bytes
	sha256    string // hexadecimal, or sigv4.UnsignedPayload
	sent      func(int64)

	mark int64 // the most bytes that an attempt sent, for progress
}

// do sends a request with retries, and returns the header and the body of the response.
func (c *Client) do(ctx context.Context, r *request) (http.Header, []byte, error) {
	var header http.Header
	var body []byte
	err := c.retry(ctx, r.once, func() error {
		resp, err := c.send(ctx, r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		header = resp.Header
		if r.method == http.MethodHead {
			return nil
		}
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
		if err == nil && len(body) > maxAnswer {
			err = fetch.Final(fmt.Errorf("%s %s: the response exceeds %d bytes", r.method, c.redacted(r), maxAnswer))
		}
		return err
	})
	return header, body, err
}

// retry calls attempt until it succeeds or fails permanently.
func (c *Client) retry(ctx context.Context, once bool, attempt func() error) error {
	a := c.attempts
	if once {
		a.Max = 1
	}
	return a.Do(ctx, attempt)
}

// passing reports whether an error is temporary.
func passing(err error) bool {
	again, _ := answerPasses(err)
	return again && fetch.Passing(err)
}

// answerPasses reports whether a retry can succeed, and the pause that the service asked
// for.
func answerPasses(err error) (bool, time.Duration) {
	if answer := new(Error); errors.As(err, &answer) {
		return answer.retryable(), answer.after
	}
	return true, 0 // a connection that was refused or broke
}

// maxRenewals limits how often one attempt renews its token. A new token can come from the
// cache shortly before it expires.
const maxRenewals = 3

// send makes one attempt, or more if a token is refused. The caller closes the body of the
// successful response.
func (c *Client) send(ctx context.Context, r *request) (*http.Response, error) {
	for renewed := 0; ; renewed++ {
		resp, token, err := c.sendOnce(ctx, r)
		if err != nil {
			return nil, err
		}
		r.secret = c.auth.secret(token)
		if resp.StatusCode/100 == 2 {
			c.auth.worked(token)
			return resp, nil
		}
		if renewed > 0 {
			c.auth.replaced(token)
		}
		answer := c.readError(r, resp)
		resp.Body.Close()
		if renewed < maxRenewals && answer.Is(ErrAccess) && c.auth.renew(token, answer.Status) {
			continue
		}
		answer.after, _ = rest.RetryAfter(resp.Header, c.o.Clock.Now())
		return nil, answer
	}
}

// sendOnce sends a request and returns the response, whatever its status, and the token
// used.
func (c *Client) sendOnce(ctx context.Context, r *request) (*http.Response, rest.Token, error) {
	// The stall timer starts after this: the token source has its own retries and time limits.
	token, err := c.auth.token(ctx)
	if err != nil {
		return nil, token, fetch.Final(err)
	}
	watch := fetch.NewWatch(ctx, max(r.stall, c.o.Stall))
	ctx = watch.Context()

	u := c.base(r.at.Region)
	u.Path = "/" + r.at.Bucket
	if r.at.Key != "" {
		u.Path += "/" + r.at.Key
	}
	u.RawPath = sigv4.Escape(u.Path, true)
	u.RawQuery = sigv4.Query(r.query)
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), nil)
	if err != nil {
		watch.Stop()
		return nil, token, fetch.Final(err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", "luksimg")
	sum := sigv4.EmptyPayload
	var body *bodyReader
	if p := r.body; p != nil {
		sum = p.sha256
		req.ContentLength = p.size
		if p.size > 0 {
			body = &bodyReader{p: p, moved: watch.Moved, closed: make(chan struct{})}
			req.Body = body
		}
		if p.md5 != nil {
			req.Header.Set("Content-MD5", base64.StdEncoding.EncodeToString(p.md5))
		}
		if p.size > expectAbove {
			req.Header.Set("Expect", "100-continue")
		}
	}
	c.auth.sign(req, r.at.Region, sum, token)
	resp, err := c.http.Do(req)
	if err == nil && resp.StatusCode/100 != 2 {
		// The server can refuse before it has read the body; do not send the rest.
		b, _ := io.ReadAll(io.LimitReader(resp.Body, maxError))
		resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(b))
		watch.End()
	}
	if body != nil {
		// The transport may still read from the buffer, which the caller will reuse.
		<-body.closed
		if err := body.failure(); err != nil {
			if resp != nil {
				resp.Body.Close()
			}
			watch.Stop()
			return nil, token, fetch.Final(err)
		}
	}
	if err != nil {
		stalled := watch.Cause(err)
		watch.Stop()
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // without the URL, whose query can hold secrets
		}
		if stalled == fetch.ErrStalled {
			err = stalled
		}
		return nil, token, fmt.Errorf("%s %s: %w", r.method, c.redacted(r), err)
	}
	resp.Body = watch.Body(resp.Body)
	return resp, token, nil
}

// redacted returns the URL of a request without its query values.
func (c *Client) redacted(r *request) string {
	u := c.base(r.at.Region)
	u.Path = "/" + r.at.Bucket
	if r.at.Key != "" {
		u.Path += "/" + r.at.Key
	}
	s := u.String()
	sep := "?"
	for _, name := range []string{"uploads", "uploadId", "partNumber", "location", "prefix"} {
		if !r.query.Has(name) {
			continue
		}
		s += sep + name
		if name == "partNumber" {
			s += "=" + r.query.Get(name)
		}
		sep = "&"
	}
	return s
}

// readError returns the [Error] of a response.
func (c *Client) readError(r *request, resp *http.Response) *Error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, maxError))
	return c.parseError(r, resp, b)
}

func (c *Client) parseError(r *request, resp *http.Response, body []byte) *Error {
	var x struct {
		XMLName                                    xml.Name `xml:"Error"`
		Code, Message, RequestId, Region, Endpoint string
	}
	if xml.Unmarshal(body, &x) != nil {
		x.Code, x.Message = "", ""
	}
	e := &Error{
		Method: r.method, URL: c.redacted(r), Status: resp.StatusCode, Region: r.at.Region,
		Code: rest.Clean(x.Code, r.secret), Message: rest.Clean(x.Message, r.secret),
		RequestID:    rest.Clean(resp.Header.Get("X-Amz-Request-Id"), r.secret),
		BucketRegion: rest.Clean(resp.Header.Get("X-Amz-Bucket-Region"), r.secret),
	}
	if e.RequestID == "" {
		e.RequestID = rest.Clean(x.RequestId, r.secret)
	}
	if e.BucketRegion == "" && e.Is(ErrBucketRegion) {
		e.BucketRegion = rest.Clean(x.Region, r.secret)
		if e.BucketRegion == "" {
			e.BucketRegion = regionOfHost(x.Endpoint)
		}
	}
	return e
}

// regionOfHost returns the region in the host name of an IBM endpoint, or "".
func regionOfHost(host string) string {
	f := strings.Split(strings.TrimPrefix(host, "https://"), ".")
	for i, label := range f {
		if label == "cloud-object-storage" && i > 0 && regionName.MatchString(f[i-1]) && len(f[i-1]) <= 32 {
			return f[i-1]
		}
	}
	return ""
}

// A bodyReader reads a payload once. It records the first error, and when the transport
// is done with it.
type bodyReader struct {
	p      *payload
	moved  func()
	closed chan struct{}

	mu   sync.Mutex
	pos  int64
	done bool
	err  error
}

func (b *bodyReader) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.done:
		return 0, http.ErrBodyReadAfterClose
	case b.pos == b.p.size:
		return 0, io.EOF
	}
	n, err := b.p.src.ReadAt(p[:min(int64(len(p)), b.p.size-b.pos)], b.p.off+b.pos)
	if n == 0 && err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		b.err = fmt.Errorf("source at offset %d: %w", b.p.off+b.pos, err)
		return 0, b.err
	}
	b.pos += int64(n)
	b.moved()
	if b.pos > b.p.mark {
		if b.p.sent != nil {
			b.p.sent(b.pos - b.p.mark)
		}
		b.p.mark = b.pos
	}
	return n, nil
}

func (b *bodyReader) Close() error {
	b.mu.Lock() // wait for a concurrent Read
	defer b.mu.Unlock()
	if !b.done {
		b.done = true
		close(b.closed)
	}
	return nil
}

// failure returns the read error of the source.
func (b *bodyReader) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}
