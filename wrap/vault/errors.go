package vault

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/internal/kind"
)

// An Error is a request that failed. It holds neither keys nor tokens. It matches, by errors.Is, one of the errors of
// package wrap and the cause in the network, if there is one.
type Error = rest.Error

// failed returns an error of this kind.
func (c *Client) failed(op string, sort error, status int, message string) *Error {
	message = rest.Clean(message, *c.token)
	return &Error{Service: "vault", Op: op, Status: status, Message: message, Err: kind.Of(sort, nil), Advice: c.advice(sort, message),
		Answered: sort != wrap.ErrUnavailable}
}

// answer returns the error of a response that a transit engine does not send.
func answer(op string, status int, message string) *Error {
	return &Error{Service: "vault", Op: op, Status: status, Message: message, Err: kind.Of(wrap.ErrUnavailable, rest.ErrAnswer),
		Advice: "check the address: it must be that of a Vault or OpenBao server, without /v1"}
}

// unreachable returns the error of a request without a response.
func unreachable(op string, cause error) *Error {
	return &Error{Service: "vault", Op: op, Err: kind.Of(wrap.ErrUnavailable, cause), Advice: "there was no response: check the address and the network, and whether the server is running"}
}

// sealed reports whether the server is sealed: it cannot decrypt its storage.
func sealed(res *rest.Response) bool {
	return res.Status == http.StatusServiceUnavailable && strings.Contains(strings.ToLower(messages(res)), "sealed")
}

// class makes a sealed server a final error, because only an operator can unseal it.
func class(res *rest.Response) rest.Class {
	if sealed(res) {
		return rest.Final
	}
	return rest.Classify(res)
}

// messages returns the error messages in a response.
func messages(res *rest.Response) string {
	var body struct{ Errors []string }
	json.Unmarshal(res.Body, &body)
	return strings.Join(body.Errors, "; ")
}

// failure returns the error of a response that reports one.
func (c *Client) failure(ctx context.Context, op string, res *rest.Response) error {
	text := messages(res)
	sort := sortOf(res.Status, text)
	if sort == wrap.ErrDenied && c.unknown(ctx) {
		sort = wrap.ErrAuth
	}
	return c.failed(op, sort, res.Status, text)
}

// unknown reports whether the server does not know the token. For both an unknown token and a missing permission the
// server says "permission denied". The policy default lets every known token look itself up.
func (c *Client) unknown(ctx context.Context) bool {
	res, err := c.ask(ctx, "look up token", http.MethodGet, "auth/token/lookup-self", nil)
	return err == nil && res.Status == http.StatusForbidden
}

// sortOf returns the error that a response stands for.
func sortOf(status int, text string) error {
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(text, p) {
				return true
			}
		}
		return false
	}
	switch {
	case status == http.StatusForbidden, status == http.StatusUnauthorized:
		return wrap.ErrDenied
	case status == http.StatusNotFound, has("encryption key not found", "no handler for route", "unsupported path"):
		return wrap.ErrNotFound
	case has("disallowed by policy", "not been upgraded", "deletion", "soft deleted"):
		return wrap.ErrKeyState
	case status == http.StatusBadRequest && has("message authentication failed", "ciphertext", "decrypt"):
		return wrap.ErrWDEK
	case status == http.StatusTooManyRequests, status >= 500:
		return wrap.ErrUnavailable
	}
	return wrap.ErrRefused
}

// advice returns one sentence on how to correct the error, or "".
func (c *Client) advice(sort error, text string) string {
	switch sort {
	case wrap.ErrAuth:
		return "the token is wrong or has expired: log in again with vault login, or set VAULT_TOKEN"
	case wrap.ErrDenied:
		return "the policy of the token must grant update on " + c.mount + "/encrypt/" + c.key + " to wrap, decrypt/" + c.key + " to unwrap and rewrap/" + c.key + " to rewrap"
	case wrap.ErrNotFound:
		return "check mount, key and namespace: vault read " + c.mount + "/keys/" + c.key + " shows the key, and vault write -f makes it"
	case wrap.ErrWDEK:
		return "the wrapped key is damaged, or another key wrapped it"
	case wrap.ErrKeyState:
		return "Vault no longer allows the key version that wrapped it: see min_decryption_version in vault read " + c.mount + "/keys/" + c.key
	case wrap.ErrUnavailable:
		if strings.Contains(strings.ToLower(text), "sealed") {
			return "the server is sealed: vault operator unseal opens it"
		}
		return "the server has a problem: see its log, and try again"
	}
	return ""
}
