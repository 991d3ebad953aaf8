package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/iam"
)

// TestResumable looks at the exit codes of transfers that failed, with something to go on
// with and without.
func TestResumable(t *testing.T) {
	state := cos.StateFile(filepath.Join(t.TempDir(), "state"))
	codes := func(want func(err error) int) {
		t.Helper()
		for _, err := range []error{
			errors.New("the connection broke"),
			fmt.Errorf("upload: %w", context.Canceled),
			&cos.Error{Status: 503},
			&cos.Error{Status: 403},
			fmt.Errorf("token: %w", &iam.Error{Status: 400, Err: iam.ErrAuth}),
			fmt.Errorf("upload: %w", cos.ErrChanged),
			fmt.Errorf("download: %w", cos.ErrChecksum),
		} {
			got := resumable(err, state, "--abort gives it up")
			if code := exit.Code(got); code != want(err) {
				t.Errorf("%v: exit code %d, want %d", err, code, want(err))
			}
			if !errors.Is(got, err) {
				t.Errorf("%v became %v", err, got)
			}
		}
	}
	codes(exit.Code) // as they are: there is no state
	if err := state.Save([]byte("{}")); err != nil {
		t.Fatal(err)
	}
	codes(func(err error) int {
		switch {
		case exit.Code(err) == exit.Refused:
			return exit.Refused
		case errors.Is(err, cos.ErrChanged), errors.Is(err, cos.ErrChecksum):
			return exit.Failure
		}
		return exit.Resumable
	})
}
