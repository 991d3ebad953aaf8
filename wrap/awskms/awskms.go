// Package awskms wraps data encryption keys with a symmetric key of AWS Key Management Service. The wrapped key is
// the service's CiphertextBlob as base64, the form that the AWS CLI prints and accepts.
//
// See the AWS KMS API Reference: Encrypt, Decrypt, ReEncrypt, and "Making Programmatic API Requests".
package awskms

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/sigv4"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/kmsuri"
)

// Retry bounds the attempts of a call. The zero value is right.
type Retry = rest.Retry

// Credentials identify the caller to AWS.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey []byte
	SessionToken    []byte // set for temporary credentials only
}

// String returns a fixed text, so that fmt does not print the credentials.
func (Credentials) String() string { return "awskms.Credentials(redacted)" }

// GoString returns the same text as String, for fmt's %#v.
func (c Credentials) GoString() string { return c.String() }

// MarshalJSON always returns an error, so that credentials never reach a JSON document.
func (Credentials) MarshalJSON() ([]byte, error) {
	return nil, errors.New("credentials cannot be encoded as JSON")
}

// Options are the settings of a [Client]. Key and Credentials must be set.
type Options struct {
	// Key is the ARN of a symmetric key. The client takes the region from it.
	Key string
	// Credentials sign the requests. New copies them.
	Credentials Credentials
	// Endpoint is the URL of the service. It must be https, or http on this machine. "" is the public endpoint of the
	// key's region.
	Endpoint string
	// Client sends the requests, without following redirects. Nil uses a new client.
	Client *http.Client
	// Retry bounds the attempts of a request.
	Retry Retry
}

// A Client uses one key with one set of credentials. It implements wrap.Wrapper and wrap.Unwrapper, and is safe for
// concurrent use.
//
// Plaintexts and credentials pass through net/http, whose buffers cannot be wiped.
type Client struct {
	arn   string
	url   string
	who   *Credentials // a pointer: fmt prints the fields of a struct that it reaches, but not what this points to
	retry Retry
	send  *rest.Transport
}

// New checks the options and returns a client. It sends no request. If Key is not an ARN, the error is
// [kmsuri.ErrURI].
func New(o Options) (*Client, error) {
	arn, ok := kmsuri.ParseARN(o.Key)
	if !ok {
		return nil, fmt.Errorf("aws kms: %.200q: %w: it is not the ARN of a key", o.Key, kmsuri.ErrURI)
	}
	endpoint := o.Endpoint
	if endpoint == "" {
		domain, ok := map[string]string{"aws": "amazonaws.com", "aws-us-gov": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}[arn.Partition]
		if !ok {
			return nil, fmt.Errorf("aws kms: the endpoint of partition %s is not known: set Endpoint", arn.Partition)
		}
		endpoint = "https://kms." + arn.Region + "." + domain
	}
	base, err := rest.CheckURL(endpoint)
	if err != nil {
		return nil, fmt.Errorf("aws kms: %w", err)
	}
	w := Credentials{o.Credentials.AccessKeyID, bytes.Clone(o.Credentials.SecretAccessKey), bytes.Clone(o.Credentials.SessionToken)}
	if w.AccessKeyID == "" || len(w.SecretAccessKey) == 0 {
		return nil, errors.New("aws kms: no credentials")
	}
	var own http.Client
	if o.Client != nil {
		own = *o.Client
	}
	c := &Client{arn: o.Key, url: strings.TrimSuffix(base, "/") + "/", who: &w, retry: o.Retry, send: &rest.Transport{Retry: o.Retry, Class: class, MaxBody: rest.MaxKeyBody}}
	own.Transport = &signer{next: own.Transport, c: c, region: arn.Region}
	rest.NewClient(&own, c.send)
	return c, nil
}

// A signer signs each attempt with the time of that attempt.
type signer struct {
	next   http.RoundTripper
	c      *Client
	region string
}

func (s *signer) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return nil, err
	}
	signed := r.Clone(r.Context())
	signed.Body = io.NopCloser(bytes.NewReader(body))
	if len(s.c.who.SessionToken) > 0 {
		signed.Header.Set("X-Amz-Security-Token", string(s.c.who.SessionToken))
	}
	sum := sha256.Sum256(body)
	sigv4.SignFor("kms", signed, s.c.who.AccessKeyID, s.c.who.SecretAccessKey, s.region, hex.EncodeToString(sum[:]), rest.ClockOr(s.c.retry.Clock).Now())
	if s.next == nil {
		return http.DefaultTransport.RoundTrip(signed)
	}
	return s.next.RoundTrip(signed)
}

// URI returns the name of the key, awskms:ARN. An envelope stores it as kms.
func (c *Client) URI() kmsuri.URI { return kmsuri.URI{Scheme: kmsuri.AWSKMS, Name: c.arn} }

// RootKey returns the client as a root key with the name that [Client.URI] returns.
func (c *Client) RootKey() *wrap.RootKey {
	return &wrap.RootKey{Wrapper: c, Unwrapper: c, KMS: c.URI().String()}
}

// String returns the name of the key.
func (c *Client) String() string { return "awskms.Client(" + c.URI().String() + ")" }

// GoString returns the name of the key, so that fmt's %#v does not print the credentials.
func (c *Client) GoString() string { return c.String() }

const (
	maxPlain = 4096     // the longest plaintext, in bytes, that Encrypt accepts for a symmetric key
	maxText  = 16 << 10 // the longest wrapped key, as base64
)

// Wrap implements wrap.Wrapper with the operation Encrypt. If the plaintext is not base64 text of 1 to 4096 bytes,
// the error is wrap.ErrKey.
func (c *Client) Wrap(ctx context.Context, plaintext []byte) (string, error) {
	if n := decodedLen(plaintext); n == 0 || n > maxPlain {
		return "", fmt.Errorf("aws kms: wrap: %w: the plaintext is not base64 text of 1 to %d bytes on one line", wrap.ErrKey, maxPlain)
	}
	return c.blob(ctx, "Encrypt", "KeyId", "Plaintext", plaintext)
}

// Rewrap has the service wrap the key again, with the newest key material of its root key (operation ReEncrypt). The
// plaintext does not leave the service.
func (c *Client) Rewrap(ctx context.Context, wdek string) (string, error) {
	if err := checkWrapped("rewrap", wdek); err != nil {
		return "", err
	}
	return c.blob(ctx, "ReEncrypt", "DestinationKeyId", "CiphertextBlob", []byte(wdek))
}

// Unwrap implements wrap.Unwrapper with the operation Decrypt. Rewrapped is always empty: the service does not report
// whether its key was rotated.
func (c *Client) Unwrap(ctx context.Context, wdek string) (wrap.Unwrapped, error) {
	if err := checkWrapped("unwrap", wdek); err != nil {
		return wrap.Unwrapped{}, err
	}
	var out struct{ Plaintext json.RawMessage }
	if err := c.call(ctx, "Decrypt", "KeyId", "CiphertextBlob", []byte(wdek), &out); err != nil {
		return wrap.Unwrapped{}, err
	}
	// The raw JSON text is kept, because a Go string cannot be wiped.
	text, ok := bytes.CutPrefix(out.Plaintext, []byte(`"`))
	text, ok2 := bytes.CutSuffix(text, []byte(`"`))
	if !ok || !ok2 || decodedLen(text) == 0 {
		clear(out.Plaintext)
		return wrap.Unwrapped{}, answer("Decrypt", http.StatusOK, "the response holds no key")
	}
	return wrap.Unwrapped{Plaintext: text}, nil
}

// blob calls an operation that returns a wrapped key.
func (c *Client) blob(ctx context.Context, op, key, name string, value []byte) (string, error) {
	var out struct{ CiphertextBlob string }
	if err := c.call(ctx, op, key, name, value, &out); err != nil {
		return "", err
	}
	if len(out.CiphertextBlob) > maxText || decodedLen([]byte(out.CiphertextBlob)) == 0 {
		return "", answer(op, http.StatusOK, "the response holds no ciphertext")
	}
	return out.CiphertextBlob, nil
}

// call sends an operation with the key's ARN in the member key, and base64 text in the member name. The transport may
// retry it.
func (c *Client) call(ctx context.Context, op, key, name string, value []byte, out any) error {
	more := ""
	if op == "ReEncrypt" {
		more = `"SourceKeyId":"` + c.arn + `",`
	}
	body := fmt.Appendf(nil, `{%s"%s":"%s","%s":"%s"}`, more, key, c.arn, name, value)
	defer clear(body)
	req, err := http.NewRequestWithContext(rest.Idempotent(ctx), http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "TrentService."+op)
	res, err := c.send.Send(req)
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return unreachable(op, err)
	}
	defer clear(res.Body)
	if !res.OK() {
		return c.failure(op, res)
	}
	if json.Unmarshal(res.Body, out) != nil {
		return answer(op, res.Status, "the response is not valid JSON")
	}
	return nil
}

func checkWrapped(op, wdek string) error {
	if len(wdek) > maxText || decodedLen([]byte(wdek)) == 0 {
		return fmt.Errorf("aws kms: %s: %w: the wrapped key is not base64 text on one line", op, wrap.ErrWDEK)
	}
	return nil
}

// decodedLen returns the number of bytes that text decodes to, or 0 if it is not strict base64 on one line.
func decodedLen(text []byte) int {
	if len(text) > maxText || bytes.ContainsAny(text, "\r\n") {
		return 0
	}
	decoded := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	defer clear(decoded)
	n, err := base64.StdEncoding.Strict().Decode(decoded, text)
	if err != nil {
		return 0
	}
	return n
}
