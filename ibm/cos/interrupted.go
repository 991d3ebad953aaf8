package cos

import (
	"errors"

	"github.com/luksimg/luksimg/internal/rest"
)

// An InterruptedError is the error of an upload or a download that the same call can resume.
type InterruptedError struct {
	Err    error
	GiveUp string // how to give up instead
}

func (e *InterruptedError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *InterruptedError) Unwrap() error { return e.Err }

// Hint returns advice on how to resume or give up.
func (e *InterruptedError) Hint() string {
	return "run the same command again to resume; " + e.GiveUp
}

// known reports whether a saved state exists.
func known(state StateStore) bool {
	if state == nil {
		return false
	}
	b, err := state.Load()
	return err == nil && b != nil
}

// Interrupted wraps the error of a transfer in an [InterruptedError] if the same call can resume it.
// That requires a saved state, and an error other than a refusal, [ErrChecksum] or [ErrChanged].
// Otherwise Interrupted returns err. giveUp says how to give up; for [ErrChanged] it becomes the hint.
func Interrupted(err error, state StateStore, giveUp string) error {
	switch {
	case !known(state), errors.Is(err, ErrChecksum), rest.Refused(err):
		return err
	case errors.Is(err, ErrChanged):
		return rest.WithHint(err, giveUp)
	}
	return &InterruptedError{err, giveUp}
}
