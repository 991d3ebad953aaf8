package rest

import (
	"context"
	"errors"
	"strings"
	"time"
)

// A Token is a bearer token. Its value is secret: fmt and JSON do not show it. Only
// Header returns it.
type Token struct {
	value  *string   // a pointer, because fmt shows the fields of a struct that holds a token
	Expiry time.Time // by the local clock; zero if unknown
}

// NewToken returns a token with the given value, with or without the prefix "Bearer ".
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

// IsZero reports whether t holds no token.
func (t Token) IsZero() bool { return t.value == nil }

// String hides the value from fmt.
func (t Token) String() string { return "iam.Token(redacted)" }

// GoString hides the value from fmt's %#v.
func (t Token) GoString() string { return t.String() }

// MarshalJSON always fails, so that no token is written as JSON.
func (t Token) MarshalJSON() ([]byte, error) {
	return nil, errors.New("tokens cannot be encoded as JSON")
}

// A TokenSource returns bearer tokens that are valid for at least a few minutes. It is safe
// for concurrent use.
type TokenSource interface {
	Token(ctx context.Context) (Token, error)
}

// A Dropper is a [TokenSource] with a method Drop. Drop reports that a service refused a token;
// the source then requests a new one.
type Dropper interface {
	Drop(refused Token)
}
