// Package vault wraps data encryption keys with a key of the transit engine of HashiCorp Vault or OpenBao. A wrapped
// key has the engine's own format, so vault write MOUNT/decrypt/KEY unwraps it too.
//
// See "Transit secrets engine (API)" in the documentation of Vault.
package vault

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/kmsuri"
)

// Retry bounds the attempts of a call. The zero value is right.
type Retry = rest.Retry

// Options are the settings of a [Client]. Address, Key and Token must be set.
type Options struct {
	// Address is the URL of the server: https, or http on this machine.
	Address string
	// Key is MOUNT/KEY: the mount path of the transit engine, and the name of its key.
	Key string
	// Token authenticates the caller. It needs the capability update on MOUNT/encrypt/KEY to wrap, MOUNT/decrypt/KEY
	// to unwrap and MOUNT/rewrap/KEY to rewrap. New copies it.
	Token []byte
	// Namespace is a namespace of Vault Enterprise or OpenBao. "" is the root namespace.
	Namespace string
	// Client sends the requests, without following redirects. Nil uses a new client.
	Client *http.Client
	// Retry bounds the attempts of a request.
	Retry Retry
}

// A Client uses one key of a transit engine with one token. It implements wrap.Wrapper and wrap.Unwrapper, and is
// safe for concurrent use.
//
// Plaintexts and the token pass through net/http, whose buffers cannot be wiped.
type Client struct {
	address, mount, key, namespace string
	token                          *string // a pointer: fmt prints the fields of a struct that it reaches, but not what this points to
	send                           *rest.Transport
}

// New checks the options and returns a client. It sends no request. If Key is not MOUNT/KEY, the error is
// [kmsuri.ErrURI].
func New(o Options) (*Client, error) {
	mount, key, ok := kmsuri.Transit(o.Key)
	if !ok {
		return nil, fmt.Errorf("vault: %.200q: %w: want MOUNT/KEY", o.Key, kmsuri.ErrURI)
	}
	address, err := rest.CheckURL(o.Address)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	token := string(bytes.TrimSpace(o.Token))
	if !isToken(token) {
		return nil, errors.New("vault: the token is empty, or not one word of printable text")
	}
	c := &Client{address: address, mount: mount, key: key, namespace: o.Namespace, token: &token,
		send: &rest.Transport{Retry: o.Retry, Class: class, MaxBody: rest.MaxKeyBody}}
	rest.NewClient(o.Client, c.send)
	return c, nil
}

func isToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= 64<<10
}

// URI returns the name of the key, vault:MOUNT/KEY. An envelope stores it as kms.
func (c *Client) URI() kmsuri.URI {
	return kmsuri.URI{Scheme: kmsuri.Vault, Name: c.mount + "/" + c.key}
}

// RootKey returns the client as a root key with the name that [Client.URI] returns.
func (c *Client) RootKey() *wrap.RootKey {
	return &wrap.RootKey{Wrapper: c, Unwrapper: c, KMS: c.URI().String()}
}

// String returns the name of the key.
func (c *Client) String() string { return "vault.Client(" + c.URI().String() + ")" }

// GoString returns the name of the key, so that fmt's %#v does not print the token.
func (c *Client) GoString() string { return c.String() }

// maxText is the longest plaintext or wrapped key, in bytes.
const maxText = 16 << 10

var wrapped = regexp.MustCompile(`^vault:v[1-9][0-9]{0,8}:[A-Za-z0-9+/]+={0,2}$`)

// Wrap implements wrap.Wrapper. If the key does not exist, the error is wrap.ErrNotFound. The engine creates a
// missing key if the token may do that, so Wrap reads the key first, if the token may read it.
func (c *Client) Wrap(ctx context.Context, plaintext []byte) (string, error) {
	if !isBase64(plaintext) {
		return "", fmt.Errorf("vault: wrap: %w: the plaintext is not base64 text on one line", wrap.ErrKey)
	}
	if err := c.check(ctx); err != nil {
		return "", err
	}
	return c.ciphertext(ctx, "encrypt", "plaintext", plaintext)
}

// Rewrap has the engine wrap the key again, with the newest version of its key. The plaintext does not leave the
// engine.
func (c *Client) Rewrap(ctx context.Context, wdek string) (string, error) {
	if err := checkWrapped("rewrap", wdek); err != nil {
		return "", err
	}
	return c.ciphertext(ctx, "rewrap", "ciphertext", []byte(wdek))
}

// Unwrap implements wrap.Unwrapper. Rewrapped is always empty: the engine does not report whether its key was
// rotated.
func (c *Client) Unwrap(ctx context.Context, wdek string) (wrap.Unwrapped, error) {
	if err := checkWrapped("unwrap", wdek); err != nil {
		return wrap.Unwrapped{}, err
	}
	var data struct{ Plaintext json.RawMessage }
	if err := c.post(ctx, "decrypt", "ciphertext", []byte(wdek), &data); err != nil {
		return wrap.Unwrapped{}, err
	}
	// The raw JSON text is kept, because a Go string cannot be wiped.
	text, ok := bytes.CutPrefix(data.Plaintext, []byte(`"`))
	text, ok2 := bytes.CutSuffix(text, []byte(`"`))
	if !ok || !ok2 || !isBase64(text) {
		clear(data.Plaintext)
		return wrap.Unwrapped{}, answer("decrypt", http.StatusOK, "the response holds no key")
	}
	return wrap.Unwrapped{Plaintext: text}, nil
}

// Rotate has the engine make a new version of the key. Older versions still unwrap the keys that they wrapped.
func (c *Client) Rotate(ctx context.Context) error {
	return c.do(ctx, "rotate", http.MethodPost, "/keys/"+c.key+"/rotate", []byte("{}"), nil)
}

// check reads the key and refuses one that cannot encrypt. It returns nil if the token may not read the key.
func (c *Client) check(ctx context.Context) error {
	var data struct {
		Type     string `json:"type"`
		Encrypts *bool  `json:"supports_encryption"`
		Derived  bool   `json:"derived"`
	}
	err := c.do(ctx, "read key", http.MethodGet, "/keys/"+c.key, nil, &data)
	switch {
	case errors.Is(err, wrap.ErrDenied):
		return nil // the token may wrap without being allowed to read
	case err != nil:
		return err
	case data.Encrypts != nil && !*data.Encrypts, data.Derived:
		e := c.failed("wrap", wrap.ErrKeyState, http.StatusOK, "the key is of type "+data.Type+", or needs a context to derive it")
		e.Advice = "make one that encrypts: vault write -f " + c.mount + "/keys/NAME"
		e.Answered = true
		return e
	}
	return nil
}

// ciphertext calls an action that returns a wrapped key.
func (c *Client) ciphertext(ctx context.Context, action, name string, value []byte) (string, error) {
	var data struct{ Ciphertext string }
	if err := c.post(ctx, action, name, value, &data); err != nil {
		return "", err
	}
	if len(data.Ciphertext) > maxText || !wrapped.MatchString(data.Ciphertext) {
		return "", answer(action, http.StatusOK, "the response holds no ciphertext")
	}
	return data.Ciphertext, nil
}

// post calls an action of the key with one member, whose value needs no escapes in JSON.
func (c *Client) post(ctx context.Context, action, name string, value []byte, data any) error {
	body := fmt.Appendf(nil, `{"%s":"%s"}`, name, value)
	defer clear(body)
	return c.do(ctx, action, http.MethodPost, "/"+action+"/"+c.key, body, data)
}

// do calls the engine at a path below its mount and decodes the data of the response.
func (c *Client) do(ctx context.Context, op, method, path string, body []byte, data any) error {
	res, err := c.ask(ctx, op, method, c.mount+path, body)
	if err != nil {
		return err
	}
	defer clear(res.Body)
	if !res.OK() {
		return c.failure(ctx, op, res)
	}
	if data == nil {
		return nil
	}
	out := struct {
		Data any `json:"data"`
	}{data}
	if json.Unmarshal(res.Body, &out) != nil {
		return answer(op, res.Status, "the response is not valid JSON")
	}
	return nil
}

// ask sends a request. The transport may retry it.
func (c *Client) ask(ctx context.Context, op, method, path string, body []byte) (*rest.Response, error) {
	req, err := http.NewRequestWithContext(rest.Idempotent(ctx), method, c.address+"/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Vault-Token", *c.token)
	req.Header.Set("X-Vault-Request", "true")
	if c.namespace != "" {
		req.Header.Set("X-Vault-Namespace", c.namespace)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.send.Send(req)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, unreachable(op, err)
	}
	return res, nil
}

func checkWrapped(op, wdek string) error {
	if len(wdek) > maxText || !wrapped.MatchString(wdek) {
		return fmt.Errorf("vault: %s: %w: a transit engine did not make it", op, wrap.ErrWDEK)
	}
	return nil
}

// isBase64 reports whether text is strict base64 on one line, and not empty.
func isBase64(text []byte) bool {
	if len(text) == 0 || len(text) > maxText || bytes.ContainsAny(text, "\r\n") {
		return false
	}
	decoded := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	defer clear(decoded)
	_, err := base64.StdEncoding.Strict().Decode(decoded, text)
	return err == nil
}
