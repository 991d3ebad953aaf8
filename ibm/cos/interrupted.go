package cos

import (
	"errors"

	"github.com/luksimg/luksimg/internal/rest"
)

// An InterruptedError ended an upload or a download that the same call goes on with.
type InterruptedError struct {
	Err    error
	GiveUp string // how to give it up instead
}

func (e *InterruptedError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *InterruptedError) Unwrap() error { return e.Err }

// Hint says what to do about it.
func (e *InterruptedError) Hint() string {
	return "the same command goes on where it stopped; " + e.GiveUp
}

// known reports whether there is a state of a transfer.
func known(state StateStore) bool {
	if state == nil {
		return false
	}
	b, err := state.Load()
	return err == nil && b != nil
}

// Interrupted returns the error of a transfer as an [InterruptedError], if there is a state to
// go on with, and the service did not refuse it. giveUp says how to give it up.
func Interrupted(err error, state StateStore, giveUp string) error {
	switch {
	case !known(state), errors.Is(err, ErrChecksum), rest.Refused(err):
		return err
	case errors.Is(err, ErrChanged):
		return rest.WithHint(err, giveUp)
	}
	return &InterruptedError{err, giveUp}
}
