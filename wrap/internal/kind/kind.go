// Package kind makes the errors of the keepers of root keys: what sort each is, with all wider ones.
package kind

import (
	"fmt"

	"github.com/luksimg/luksimg/wrap"
)

// An Error is the sort of an error, and all that it matches.
type Error struct {
	error
	wider []error
	cause error // of the connection, or of the token
}

// Of returns an error of the sort err, which matches cause, if that is not nil, and the wider ones
// too; and, but for [wrap.ErrUnavailable], [wrap.ErrRefused].
func Of(err, cause error, wider ...error) *Error {
	k := &Error{error: err, cause: cause}
	if err != wrap.ErrUnavailable {
		k.wider = append(append(k.wider, wider...), wrap.ErrRefused)
	}
	return k
}

func (k *Error) Error() string {
	if k.cause != nil {
		return fmt.Sprintf("%v: %v", k.error, k.cause)
	}
	return k.error.Error()
}

// Unwrap returns all that it matches.
func (k *Error) Unwrap() []error {
	all := append([]error{k.error}, k.wider...)
	if k.cause != nil {
		all = append(all, k.cause)
	}
	return all
}

// Refused reports whether the service said no.
func (k *Error) Refused() bool { return k.error != wrap.ErrUnavailable }
