package rest

import (
	"context"
	"errors"
	"net"
	"net/url"

	"github.com/luksimg/luksimg/internal/advice"
)

// Refused reports whether an error is a service's no: for the credentials, for what they may
// do, or for what was asked. The error knows, by a method of this name.
func Refused(err error) bool {
	var r interface{ Refused() bool }
	return errors.As(err, &r) && r.Refused()
}

// Temporary reports whether the same call may work later: the error knows by a method of this
// name, or the call was cancelled, or there was no answer.
func Temporary(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, new(*url.Error)) || errors.As(err, new(*net.OpError)) {
		return true
	}
	return temporary(err)
}

// Hint returns what an error says about what to do, "" if it says nothing.
func Hint(err error) string {
	return advice.Of(err)
}

// WithHint returns err with a word on what to do about it, which its method Hint returns.
func WithHint(err error, hint string) error { return advice.With(err, hint) }

// A passing is an error that the same call may not have later.
type passing struct{ text string }

func (e *passing) Error() string   { return e.text }
func (e *passing) Temporary() bool { return true }

// NewTemporary returns an error for errors.Is that says why a call may work later.
func NewTemporary(text string) error { return &passing{text} }
