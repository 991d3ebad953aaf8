package keyprotect

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/luksimg/luksimg/wrap"
)

const maxText = 64 << 10 // bytes of a plaintext, or of a wrapped key

// Wrap implements wrap.Wrapper. If the plaintext is not base64 text, Wrap sends nothing and the error is wrap.ErrKey.
// Every other error is an *[Error].
func (c *Client) Wrap(ctx context.Context, plaintext []byte) (string, error) {
	id, err := c.root("wrap")
	if err != nil {
		return "", err
	}
	if !isBase64(plaintext) {
		return "", fmt.Errorf("key protect: wrap: %w: the plaintext is not base64 text on one line", wrap.ErrKey)
	}
	var wdek string
	err = c.call(ctx, call{op: "wrap", idempotent: true, secret: plaintext}, func(ctx context.Context) error {
		res, err := c.api.WrapV2(ctx, id, plaintext, nil)
		if err != nil {
			return err
		}
		wdek = res.CipherText
		return nil
	})
	if err == nil && !isWDEK(wdek) {
		return "", unavailable("wrap", "the response holds no ciphertext", nil)
	}
	return wdek, err
}

// NewDEK has the service generate and wrap a data encryption key of 32 bytes. The plaintext is base64 text, which the
// caller wipes.
func (c *Client) NewDEK(ctx context.Context) (plaintext []byte, wdek string, err error) {
	id, err := c.root("new key")
	if err != nil {
		return nil, "", err
	}
	err = c.call(ctx, call{op: "new key", idempotent: true}, func(ctx context.Context) error {
		res, err := c.api.WrapV2(ctx, id, nil, nil)
		if err != nil {
			return err
		}
		plaintext, wdek = []byte(res.PlainText), res.CipherText
		return nil
	})
	if err == nil && (!isBase64(plaintext) || !isWDEK(wdek)) {
		err = unavailable("new key", "the response holds no key", nil)
	}
	if err != nil {
		clear(plaintext)
		return nil, "", err
	}
	return plaintext, wdek, nil
}

// Unwrap implements wrap.Unwrapper. If the root key was rotated after it wrapped the key, Rewrapped is the key
// wrapped by its newest version. If another root key wrapped the key, the error is wrap.ErrWDEK. Errors of the
// service are *[Error].
func (c *Client) Unwrap(ctx context.Context, wdek string) (wrap.Unwrapped, error) {
	id, err := c.root("unwrap")
	if err != nil {
		return wrap.Unwrapped{}, err
	}
	if !isWDEK(wdek) {
		return wrap.Unwrapped{}, fmt.Errorf("key protect: unwrap: %w: the wrapped key is not one word of printable text", wrap.ErrWDEK)
	}
	var u wrap.Unwrapped
	err = c.call(ctx, call{op: "unwrap", idempotent: true}, func(ctx context.Context) error {
		plaintext, rewrapped, err := c.api.UnwrapV2(ctx, id, []byte(wdek), nil)
		u = wrap.Unwrapped{Plaintext: plaintext, Rewrapped: string(rewrapped)}
		return err
	})
	if err == nil && (!isBase64(u.Plaintext) || u.Rewrapped != "" && !isWDEK(u.Rewrapped)) {
		err = unavailable("unwrap", "the response holds no key", nil)
	}
	if err != nil {
		u.Clear()
		return wrap.Unwrapped{}, err
	}
	return u, nil
}

// Rewrap has the service wrap the key again, with the newest version of the root key. The plaintext does not leave
// the service.
func (c *Client) Rewrap(ctx context.Context, wdek string) (string, error) {
	id, err := c.root("rewrap")
	if err != nil {
		return "", err
	}
	if !isWDEK(wdek) {
		return "", fmt.Errorf("key protect: rewrap: %w: the wrapped key is not one word of printable text", wrap.ErrWDEK)
	}
	body, err := json.Marshal(map[string]string{"ciphertext": wdek})
	if err != nil {
		return "", err
	}
	var answer struct {
		Ciphertext string `json:"ciphertext"`
	}
	err = c.call(ctx, call{op: "rewrap", idempotent: true}, func(ctx context.Context) error {
		// The service's Go client lacks this action.
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/api/v2/keys/"+id+"/actions/rewrap", bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Accept", "application/json")
		req.Header.Set("Content-Type", "application/vnd.ibm.kms.key_action_rewrap+json")
		req.Header.Set("Bluemix-Instance", c.crn.Instance)
		if c.keyRing != "" {
			req.Header.Set("X-Kms-Key-Ring", c.keyRing)
		}
		res, err := (*transport)(c).RoundTrip(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		return json.NewDecoder(res.Body).Decode(&answer)
	})
	if err == nil && !isWDEK(answer.Ciphertext) {
		return "", unavailable("rewrap", "the response holds no ciphertext", nil)
	}
	return answer.Ciphertext, err
}

// isBase64 reports whether text is strict base64 on one line, and not empty. The service's Go client accepts line
// breaks and would wrap them.
func isBase64(text []byte) bool {
	if len(text) == 0 || len(text) > maxText || bytes.ContainsAny(text, "\r\n") {
		return false
	}
	decoded := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	defer clear(decoded)
	_, err := base64.StdEncoding.Strict().Decode(decoded, text)
	return err == nil
}

// isWDEK reports whether s is one word of printable characters, and not too long.
func isWDEK(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= maxText
}
