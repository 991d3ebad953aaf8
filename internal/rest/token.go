package rest

import (
	"context"
	"errors"
	"strings"
	"time"
)

// A Token is a bearer token. Its value is secret: fmt and JSON do not show it, only
// Header does.
type Token struct {
	value  *string   // a pointer, for fmt shows the fields of what holds a token
	Expiry time.Time // by the clock of this machine; zero if not known
}

// NewToken returns a token with a value, with or without "Bearer " in front.
func NewToken(value string, expiry time.Time) Token {
	if len(value) > 7 && strings.EqualFold(value[:7], "bearer ") {
		value = value[7:]
	}
	value = strings.TrimSpace(value)
	if value == "" {
		return Token{}
	}
	return Token{&value, expiry}
}

// Header returns the value of an Authorization header.
func (t Token) Header() string { return "Bearer " + t.secret() }

func (t Token) secret() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// IsZero reports whether there is no token.
func (t Token) IsZero() bool { return t.value == nil }

// String hides the value from fmt.
func (t Token) String() string { return "iam.Token(redacted)" }

// GoString hides the value from fmt's %#v.
func (t Token) GoString() string { return t.String() }

// MarshalJSON refuses: tokens belong in no JSON.
func (t Token) MarshalJSON() ([]byte, error) { return nil, errors.New("a token is not for JSON") }

// A TokenSource gives bearer tokens that are valid for a while yet. It is safe for
// concurrent use.
type TokenSource interface {
	Token(ctx context.Context) (Token, error)
}

// A Dropper is a [TokenSource] that can be told that a service has refused a token, so
// that it asks for another one.
type Dropper interface {
	Drop(refused Token)
}
