package cos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/sigv4"
)

// A TokenSource gives IAM bearer tokens: package iam has some. It is called before
// each request, from several goroutines, and so should keep a token while it is valid. If
// it can be told that a token was refused (Drop), it gives another one from then on.
type TokenSource = rest.TokenSource

// HMAC are credentials of the kind that a COS service credential has when it is made
// with "Include HMAC credential".
type HMAC struct {
	AccessKeyID     string
	SecretAccessKey []byte // the caller's: it is neither copied nor cleared
}

// String tells the access key and not the secret.
func (h HMAC) String() string { return "HMAC access key " + h.AccessKeyID }

// GoString is String.
func (h HMAC) GoString() string { return h.String() }

// MarshalText refuses: these are not for files.
func (h HMAC) MarshalText() ([]byte, error) {
	return nil, fmt.Errorf("%v: credentials are not written down", h)
}

// An authorizer makes requests that the service will accept.
type authorizer struct {
	tokens TokenSource
	hmac   *HMAC
	now    func() time.Time

	mu      sync.Mutex
	renewed string // the token that came in place of a refused one, and was refused too
}

// sign authorizes one request, with the token unless the credentials are HMAC. payload is
// the SHA-256 of the body in hexadecimal.
func (a *authorizer) sign(r *http.Request, region, payload string, token rest.Token) {
	if a.hmac != nil {
		sigv4.Sign(r, a.hmac.AccessKeyID, a.hmac.SecretAccessKey, region, payload, a.now())
		return
	}
	r.Header.Set("Authorization", token.Header())
}

// token returns the token for a request, none for HMAC.
func (a *authorizer) token(ctx context.Context) (rest.Token, error) {
	if a.hmac != nil {
		return rest.Token{}, nil
	}
	token, err := a.tokens.Token(ctx)
	if err != nil {
		return rest.Token{}, fmt.Errorf("cos: token: %w", err)
	}
	if strings.ContainsFunc(secretOf(token), func(c rune) bool { return c <= ' ' || c > '~' }) || token.IsZero() {
		return rest.Token{}, errors.New("cos: token: the source gave none, or one that no header can hold")
	}
	return token, nil
}

func secretOf(t rest.Token) string { return strings.TrimPrefix(t.Header(), "Bearer ") }

// secret returns what must not appear in an error of a request.
func (a *authorizer) secret(token rest.Token) string {
	if a.hmac != nil {
		return string(a.hmac.SecretAccessKey)
	}
	return secretOf(token)
}

// renew reports whether a request that was refused with a token should be tried with
// another one, and sees to it that there is one. COS says 401 or 403 of an expired token,
// and 403 also of one that is good and not allowed: a new one is not replaced for that.
func (a *authorizer) renew(token rest.Token, status int) bool {
	dropper, ok := a.tokens.(rest.Dropper)
	if a.hmac != nil || !ok || status != http.StatusUnauthorized && status != http.StatusForbidden {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if status == http.StatusForbidden && secretOf(token) == a.renewed {
		return false
	}
	dropper.Drop(token)
	return true
}

// replaced notes that token came in place of a refused one, and was refused too.
func (a *authorizer) replaced(token rest.Token) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.renewed = secretOf(token)
}

// worked notes that token was accepted: if it is refused later, that may be because it expired.
func (a *authorizer) worked(token rest.Token) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.renewed == secretOf(token) {
		a.renewed = ""
	}
}
