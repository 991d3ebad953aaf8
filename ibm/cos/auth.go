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

// A TokenSource returns IAM bearer tokens. Package iam has implementations. The client calls it
// before each request, from several goroutines, so it should cache valid tokens. If it also
// implements Drop, the client reports refused tokens to it.
type TokenSource = rest.TokenSource

// HMAC are credentials of a COS service credential that was created with "Include HMAC
// Credential".
type HMAC struct {
	AccessKeyID     string
	SecretAccessKey []byte // owned by the caller: neither copied nor cleared
}

// String returns the access key, without the secret.
func (h HMAC) String() string { return "HMAC access key " + h.AccessKeyID }

// GoString returns String, so that %#v does not show the secret.
func (h HMAC) GoString() string { return h.String() }

// MarshalText always fails, so that no encoder writes the secret.
func (h HMAC) MarshalText() ([]byte, error) {
	return nil, fmt.Errorf("%v: credentials cannot be marshaled", h)
}

// An authorizer signs requests.
type authorizer struct {
	tokens TokenSource
	hmac   *HMAC
	now    func() time.Time

	mu      sync.Mutex
	renewed string // a token that replaced a refused one and was refused too
}

// sign authorizes one request, with the token unless the credentials are HMAC. payload is
// the SHA-256 sum of the body in hexadecimal.
func (a *authorizer) sign(r *http.Request, region, payload string, token rest.Token) {
	if a.hmac != nil {
		sigv4.Sign(r, a.hmac.AccessKeyID, a.hmac.SecretAccessKey, region, payload, a.now())
		return
	}
	r.Header.Set("Authorization", token.Header())
}

// token returns the token for a request, or the zero token for HMAC.
func (a *authorizer) token(ctx context.Context) (rest.Token, error) {
	if a.hmac != nil {
		return rest.Token{}, nil
	}
	token, err := a.tokens.Token(ctx)
	if err != nil {
		return rest.Token{}, fmt.Errorf("cos: token: %w", err)
	}
	if strings.ContainsFunc(secretOf(token), func(c rune) bool { return c <= ' ' || c > '~' }) || token.IsZero() {
		return rest.Token{}, errors.New("cos: token: the source returned an empty token or one with invalid header characters")
	}
	return token, nil
}

func secretOf(t rest.Token) string { return strings.TrimPrefix(t.Header(), "Bearer ") }

// secret returns the credential that errors of a request must not contain.
func (a *authorizer) secret(token rest.Token) string {
	if a.hmac != nil {
		return string(a.hmac.SecretAccessKey)
	}
	return secretOf(token)
}

// renew reports whether a refused request should be retried with another token, and requests that
// token. COS responds with 401 or 403 to an expired token, and 403 also to a valid token without
// permission. A token that replaced a refused one is therefore not replaced again after 403.
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

// replaced records that token replaced a refused one and was refused too.
func (a *authorizer) replaced(token rest.Token) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.renewed = secretOf(token)
}

// worked records that token was accepted: a later refusal can mean that it has expired.
func (a *authorizer) worked(token rest.Token) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.renewed == secretOf(token) {
		a.renewed = ""
	}
}
