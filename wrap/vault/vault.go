// Package vault wraps data encryption keys with a key of the transit engine of HashiCorp Vault or
// OpenBao. The wrapped key is what the engine returns: vault write MOUNT/decrypt/KEY takes it too.
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
	// Key is MOUNT/KEY: where the transit engine is, and the name of its key.
	Key string
	// Token is what Vault knows the caller by. It is copied, and needs the capability update on
	// MOUNT/encrypt/KEY, MOUNT/decrypt/KEY or MOUNT/rewrap/KEY.
	Token []byte
	// Namespace is one of Vault Enterprise or OpenBao; "" is the root.
	Namespace string
	// Client sends the requests; redirects are not followed. Nil is one of its own.
	Client *http.Client
	// Retry bounds the attempts.
	Retry Retry
}

// A Client is one key of a transit engine, as one token sees it. It is a wrap.Wrapper and a
// wrap.Unwrapper, and safe for concurrent use.
//
// Plaintexts and the token pass through net/http, whose buffers cannot be wiped.
type Client struct {
	address, mount, key, namespace string
	token                          *string // a pointer, for fmt shows the fields of what holds it
	send                           *rest.Transport
}

// New checks the options and returns a client. It sends nothing yet.
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
		return nil, errors.New("vault: the token is empty, or no word of text")
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

// URI returns the name of the key: vault:MOUNT/KEY, which is the kms of an envelope.
func (c *Client) URI() kmsuri.URI {
	return kmsuri.URI{Scheme: kmsuri.Vault, Name: c.mount + "/" + c.key}
}

// RootKey returns the client as the root key of its name.
func (c *Client) RootKey() *wrap.RootKey {
	return &wrap.RootKey{Wrapper: c, Unwrapper: c, KMS: c.URI().String()}
}

// String returns the name of the key.
func (c *Client) String() string { return "vault.Client(" + c.URI().String() + ")" }

// GoString returns the name of the key: what holds a token is not for fmt's %#v.
func (c *Client) GoString() string { return c.String() }

// maxText bounds a plaintext and a wrapped key.
const maxText = 16 << 10

var wrapped = regexp.MustCompile(`^vault:v[1-9][0-9]{0,8}:[A-Za-z0-9+/]+={0,2}$`)

// Wrap implements wrap.Wrapper. A key that is not there is wrap.ErrNotFound: the engine, which makes
// such a key for a token that may, is asked for it first, if the token may.
func (c *Client) Wrap(ctx context.Context, plaintext []byte) (string, error) {
	if !isBase64(plaintext) {
		return "", fmt.Errorf("vault: wrap: %w: what is to be wrapped is not base64 text on one line", wrap.ErrKey)
	}
	if err := c.check(ctx); err != nil {
		return "", err
	}
	return c.ciphertext(ctx, "encrypt", "plaintext", plaintext)
}

// Rewrap has the engine wrap the key anew, by the newest version of its own. The key itself does not
// leave it.
func (c *Client) Rewrap(ctx context.Context, wdek string) (string, error) {
	if err := checkWrapped("rewrap", wdek); err != nil {
		return "", err
	}
	return c.ciphertext(ctx, "rewrap", "ciphertext", []byte(wdek))
}

// Unwrap implements wrap.Unwrapper. The engine does not tell whether its key was rotated since, so
// that Rewrapped is empty.
func (c *Client) Unwrap(ctx context.Context, wdek string) (wrap.Unwrapped, error) {
	if err := checkWrapped("unwrap", wdek); err != nil {
		return wrap.Unwrapped{}, err
	}
	var data struct{ Plaintext json.RawMessage }
	if err := c.post(ctx, "decrypt", "ciphertext", []byte(wdek), &data); err != nil {
		return wrap.Unwrapped{}, err
	}
	// As it stands: a string of Go could not be wiped.
	text, ok := bytes.CutPrefix(data.Plaintext, []byte(`"`))
	text, ok2 := bytes.CutSuffix(text, []byte(`"`))
	if !ok || !ok2 || !isBase64(text) {
		clear(data.Plaintext)
		return wrap.Unwrapped{}, answer("decrypt", http.StatusOK, "the answer holds no key")
	}
	return wrap.Unwrapped{Plaintext: text}, nil
}

// Rotate has the engine make a new version of the key. What older ones wrapped still unwraps.
func (c *Client) Rotate(ctx context.Context) error {
	return c.do(ctx, "rotate", http.MethodPost, "/keys/"+c.key+"/rotate", []byte("{}"), nil)
}

// check asks for the key, if the token may.
func (c *Client) check(ctx context.Context) error {
	var data struct {
		Type     string `json:"type"`
		Encrypts *bool  `json:"supports_encryption"`
		Derived  bool   `json:"derived"`
	}
	err := c.do(ctx, "read key", http.MethodGet, "/keys/"+c.key, nil, &data)
	switch {
	case errors.Is(err, wrap.ErrDenied):
		return nil // it may wrap all the same
	case err != nil:
		return err
	case data.Encrypts != nil && !*data.Encrypts, data.Derived:
		e := c.failed("wrap", wrap.ErrKeyState, http.StatusOK, "the key is of type "+data.Type+", or derived by a context")
		e.Advice = "make one that encrypts: vault write -f " + c.mount + "/keys/NAME"
		e.Answered = true
		return e
	}
	return nil
}

// ciphertext calls what returns a wrapped key.
func (c *Client) ciphertext(ctx context.Context, action, name string, value []byte) (string, error) {
	var data struct{ Ciphertext string }
	if err := c.post(ctx, action, name, value, &data); err != nil {
		return "", err
	}
	if len(data.Ciphertext) > maxText || !wrapped.MatchString(data.Ciphertext) {
		return "", answer(action, http.StatusOK, "the answer holds no ciphertext")
	}
	return data.Ciphertext, nil
}

// post calls an action of the key with one member, which needs no escapes in JSON.
func (c *Client) post(ctx context.Context, action, name string, value []byte, data any) error {
	body := fmt.Appendf(nil, `{"%s":"%s"}`, name, value)
	defer clear(body)
	return c.do(ctx, action, http.MethodPost, "/"+action+"/"+c.key, body, data)
}

// do calls the engine at a path below its mount, and decodes the data of the answer.
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
		return answer(op, res.Status, "the answer is not what was expected")
	}
	return nil
}

// ask sends a request. What is asked for here may be asked for twice.
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
		return fmt.Errorf("vault: %s: %w: it is not one of a transit engine", op, wrap.ErrWDEK)
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
