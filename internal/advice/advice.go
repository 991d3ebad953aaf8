// Package advice attaches advice to errors. A method Hint returns the advice.
package advice

import "errors"

// New returns a new error with the given text and advice.
func New(text, hint string) error { return With(errors.New(text), hint) }

// An advised is an error with advice.
type advised struct {
	error
	hint string
}

func (e *advised) Unwrap() error { return e.error }
func (e *advised) Hint() string  { return e.hint }

// With returns err with the given advice.
func With(err error, hint string) error { return &advised{err, hint} }

// Of returns the advice of err or of the first error that it wraps with advice; "" if there is
// none.
func Of(err error) string {
	if h, ok := err.(interface{ Hint() string }); ok && h.Hint() != "" {
		return h.Hint()
	}
	switch w := err.(type) { //nolint:errorlint // visits each error of the tree
	case interface{ Unwrap() error }:
		return Of(w.Unwrap())
	case interface{ Unwrap() []error }:
		for _, e := range w.Unwrap() {
			if h := Of(e); h != "" {
				return h
			}
		}
	}
	return ""
}
