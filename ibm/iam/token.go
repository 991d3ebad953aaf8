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

// A Token is a bearer token. Its value is secret: fmt and JSON do not show it, only
// Header does.
type Token = rest.Token

// NewToken returns a token with a value, with or without "Bearer " in front. Expiry is zero
// if it is not known.
func NewToken(value string, expiry time.Time) Token { return rest.NewToken(value, expiry) }

// A TokenSource gives bearer tokens that are valid for a while yet. It is safe for
// concurrent use.
type TokenSource = rest.TokenSource

// A Dropper is a [TokenSource] that can be told that a service has refused a token, so
// that it asks for another one.
type Dropper = rest.Dropper

// Static returns a source of one token, for callers that have it from elsewhere. When it
// expires, the services say so.
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

// cache keeps a token, and lets one caller at a time ask for the next.
type cache struct {
	mu     sync.Mutex
	token  Token
	renew  time.Time // from when on it is renewed, though still good
	flight *flight
}

type flight struct {
	done    chan struct{}
	token   Token
	err     error
	waiting int
	cancel  context.CancelFunc
}

// get returns the kept token, or the one that fetch gets. All that ask meanwhile wait for
// the same fetch, which goes on as long as one of them does.
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
				// The old one is good for a while yet, and the next call tries again.
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
				c.flight = nil // the next caller does not share its end
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

// tokenJSON is the answer of /identity/token.
type tokenJSON struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
}

func parseToken(body []byte, asked time.Time) (Token, time.Time, error) {
	var t tokenJSON
	if err := json.Unmarshal(body, &t); err != nil || t.AccessToken == "" || strings.ContainsAny(t.AccessToken, " \r\n") {
		return Token{}, time.Time{}, errors.New("the answer holds no token")
	}
	if t.TokenType != "" && !strings.EqualFold(t.TokenType, "bearer") {
		return Token{}, time.Time{}, errors.New("the answer holds no bearer token")
	}
	if t.ExpiresIn <= 0 || t.ExpiresIn > 1<<31 {
		return Token{}, time.Time{}, errors.New("the answer does not say how long the token is good")
	}
	life := time.Duration(t.ExpiresIn) * time.Second
	// Renewed five minutes before the end, so that what begins with it can end with it; a
	// short-lived one at four fifths.
	return NewToken(t.AccessToken, asked.Add(life)), asked.Add(life - min(renewBefore, life/5)), nil
}

const renewBefore = 5 * time.Minute
