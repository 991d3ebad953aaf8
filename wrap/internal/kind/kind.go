// Package kind makes the errors of the packages that use root keys. Such an error matches its kind and all wider
// kinds.
package kind

import (
	"fmt"

	"github.com/luksimg/luksimg/wrap"
)

// An Error is an error with the wider errors that it matches.
type Error struct {
	error
	wider []error
	cause error // in the network, or of the token; can be nil
}

// Of returns an error that matches err, cause if it is not nil, and wider. Unless err is [wrap.ErrUnavailable], it
// also matches [wrap.ErrRefused].
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

// Unwrap returns all errors that k matches.
func (k *Error) Unwrap() []error {
	all := append([]error{k.error}, k.wider...)
	if k.cause != nil {
		all = append(all, k.cause)
	}
	return all
}

// Refused reports whether the service refused the request. It is false if the service gave no usable response.
func (k *Error) Refused() bool { return k.error != wrap.ErrUnavailable }
