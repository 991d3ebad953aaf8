package rest

import (
	"context"
	"errors"
	"net"
	"net/url"

	"github.com/luksimg/luksimg/internal/advice"
)

// Refused reports whether a service refused a call because of its credentials, permissions or
// parameters. It uses the method Refused of the error.
func Refused(err error) bool {
	var r interface{ Refused() bool }
	return errors.As(err, &r) && r.Refused()
}

// Temporary reports whether the same call can succeed later: the method Temporary of the error
// says so, the call was cancelled, or there was no response.
func Temporary(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, new(*url.Error)) || errors.As(err, new(*net.OpError)) {
		return true
	}
	return temporary(err)
}

// Hint returns the advice of an error, or "".
func Hint(err error) string {
	return advice.Of(err)
}

// WithHint returns err with advice, which its method Hint returns.
func WithHint(err error, hint string) error { return advice.With(err, hint) }

// A passing is an error that can disappear on a retry.
type passing struct{ text string }

func (e *passing) Error() string   { return e.text }
func (e *passing) Temporary() bool { return true }

// NewTemporary returns a sentinel error for a temporary failure.
func NewTemporary(text string) error { return &passing{text} }
