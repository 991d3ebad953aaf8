package iam

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/luksimg/luksimg/internal/rest"
)

// A Token is a bearer token. Its value is secret: fmt and JSON do not show it. Only
// Header returns it.
type Token = rest.Token

// NewToken returns a token with the given value, with or without the prefix "Bearer ". A zero expiry
// means unknown.
func NewToken(value string, expiry time.Time) Token { return rest.NewToken(value, expiry) }

// A TokenSource returns bearer tokens that are valid for at least a few minutes. It is safe for
// concurrent use.
type TokenSource = rest.TokenSource

// A Dropper is a [TokenSource] with a method Drop. Drop reports that a service refused a token;
// the source then requests a new one.
type Dropper = rest.Dropper

// Static returns a source that always returns the same token. It does not track expiry: the
// services refuse an expired token.
func Static(value string) TokenSource { return static{NewToken(value, time.Time{})} }

type static struct{ t Token }

func (s static) Token(context.Context) (Token, error) {
	if s.t.IsZero() {
		return Token{}, &Error{Service: "iam", Op: "token", Err: ErrAuth, Message: "the token is empty"}
	}
	return s.t, nil
}

func (s static) String() string   { return "iam.Static(redacted)" }
func (s static) GoString() string { return s.String() }

// cache keeps a token. Only one request for a new token runs at a time.
type cache struct {
	mu     sync.Mutex
	token  Token
	renew  time.Time // time from which it is renewed although still valid
	flight *flight
}

type flight struct {
	done    chan struct{}
	token   Token
	err     error
	waiting int
	cancel  context.CancelFunc
}

// get returns the cached token, or a new one from fetch. Concurrent callers wait for
// the same fetch. The fetch is cancelled when all of them have given up.
func (c *cache) get(ctx context.Context, now time.Time, fetch func(context.Context) (Token, time.Time, error)) (Token, error) {
	if err := ctx.Err(); err != nil {
		return Token{}, err
	}
	c.mu.Lock()
	if !c.token.IsZero() && now.Before(c.renew) {
		defer c.mu.Unlock()
		return c.token, nil
	}
	f := c.flight
	if f == nil {
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		f = &flight{done: make(chan struct{}), cancel: cancel}
		c.flight = f
		old := c.token
		go func() {
			defer cancel()
			token, renew, err := fetch(own)
			c.mu.Lock()
			defer c.mu.Unlock()
			switch {
			case err == nil && c.flight == f:
				c.token, c.renew = token, renew
			case err != nil && !old.IsZero() && c.token == old && now.Before(old.Expiry) && errors.Is(err, ErrUnavailable):
				// The old token is still valid; the next call tries again.
				token, err = old, nil
			}
			f.token, f.err = token, err
			if c.flight == f {
				c.flight = nil
			}
			close(f.done)
		}()
	}
	f.waiting++
	c.mu.Unlock()

	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		c.mu.Lock()
		if f.waiting--; f.waiting == 0 {
			f.cancel()
			if c.flight == f {
				c.flight = nil // the next caller must not share the cancelled fetch
			}
		}
		c.mu.Unlock()
		return Token{}, context.Cause(ctx)
	}
}

func (c *cache) drop(refused Token) {
	c.mu.Lock()
	if c.token == refused {
		c.token = Token{}
	}
	c.mu.Unlock()
}

// tokenJSON is the response of POST /identity/token.
type tokenJSON struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
}

func parseToken(body []byte, asked time.Time) (Token, time.Time, error) {
	var t tokenJSON
	if err := json.Unmarshal(body, &t); err != nil || t.AccessToken == "" || strings.ContainsAny(t.AccessToken, " \r\n") {
		return Token{}, time.Time{}, errors.New("the response holds no token")
	}
	if t.TokenType != "" && !strings.EqualFold(t.TokenType, "bearer") {
		return Token{}, time.Time{}, errors.New("the response holds no bearer token")
	}
	if t.ExpiresIn <= 0 || t.ExpiresIn > 1<<31 {
		return Token{}, time.Time{}, errors.New("the response does not state the lifetime of the token")
	}
	life := time.Duration(t.ExpiresIn) * time.Second
	// Renew five minutes before expiry, so that a request started with the token can finish.
	// Renew a short-lived token after four fifths of its life.
	return NewToken(t.AccessToken, asked.Add(life)), asked.Add(life - min(renewBefore, life/5)), nil
}

const renewBefore = 5 * time.Minute
