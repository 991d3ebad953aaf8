// Package advice is about errors that say what to do about them, by a method Hint.
package advice

import "errors"

// New returns an error for errors.Is with a word on what to do about it.
func New(text, hint string) error { return With(errors.New(text), hint) }

// An advised is an error with a word on what to do.
type advised struct {
	error
	hint string
}

func (e *advised) Unwrap() error { return e.error }
func (e *advised) Hint() string  { return e.hint }

// With returns err with a word on what to do about it.
func With(err error, hint string) error { return &advised{err, hint} }

// Of returns what an error, or the first of those that it wraps, says about what to do; "" if
// none says anything.
func Of(err error) string {
	if h, ok := err.(interface{ Hint() string }); ok && h.Hint() != "" {
		return h.Hint()
	}
	switch w := err.(type) { //nolint:errorlint // each error of the tree is looked at
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
