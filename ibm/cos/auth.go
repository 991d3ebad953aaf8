package cos

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/luksimg/luksimg/internal/sigv4"
)

// A TokenSource gives IAM bearer tokens, without the word Bearer. It is called before
// each request, from several goroutines, and so should keep a token while it is valid.
type TokenSource interface {
	Token(ctx context.Context) (string, error)
}

// An Invalidator is a [TokenSource] that can be told that a token was refused: Token
// must give another one from then on.
type Invalidator interface {
	Invalidate(token string)
}

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
	renewed string // the token that came in place of a refused one
}

// sign authorizes one request, and returns the token that it used, if it did. payload is
// the SHA-256 of the body in hexadecimal.
func (a *authorizer) sign(r *http.Request, region, payload string) (string, error) {
	if a.hmac != nil {
		sigv4.Sign(r, a.hmac.AccessKeyID, a.hmac.SecretAccessKey, region, payload, a.now())
		return "", nil
	}
	token, err := a.tokens.Token(r.Context())
	if err != nil {
		return "", fmt.Errorf("cos: token: %w", err)
	}
	token = strings.TrimPrefix(token, "Bearer ")
	if token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", fmt.Errorf("cos: token: the source gave none, or one that no header can hold")
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return token, nil
}

// secret returns what must not appear in an error of a request.
func (a *authorizer) secret(token string) []byte {
	if a.hmac != nil {
		return a.hmac.SecretAccessKey
	}
	return []byte(token)
}

// renew reports whether a request that was refused with a token should be tried with
// another one, and sees to it that there is one. COS says 401 or 403 of an expired token,
// and 403 also of one that is good and not allowed: a new one is not replaced for that.
func (a *authorizer) renew(token string, status int) bool {
	inv, ok := a.tokens.(Invalidator)
	if a.hmac != nil || !ok || status != http.StatusUnauthorized && status != http.StatusForbidden {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if status == http.StatusForbidden && token == a.renewed {
		return false
	}
	inv.Invalidate(token)
	return true
}

// replaced notes that token came in place of a refused one.
func (a *authorizer) replaced(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.renewed = token
}
