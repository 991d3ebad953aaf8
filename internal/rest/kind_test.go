package rest_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"syscall"
	"testing"

	"github.com/luksimg/luksimg/internal/rest"
)

// TestKinds checks that a wrapping error keeps the kind and the hint.
func TestKinds(t *testing.T) {
	for _, c := range []struct {
		err                error
		refused, temporary bool
	}{
		{rest.ErrNotFound, true, false},
		{rest.ErrFailed, true, false},
		{rest.ErrLost, false, true},
		{rest.ErrTimeout, false, true},
		{&rest.Error{Status: 403}, true, false},
		{&rest.Error{Status: 503}, false, true},
		{context.Canceled, false, true},
		{&url.Error{Op: "Put", URL: "https://host", Err: syscall.ECONNRESET}, false, true},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, false, true},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, false, false},
	} {
		err := rest.WithHint(errors.Join(fmt.Errorf("step: %w", c.err), errors.New("another")), "do this")
		if rest.Refused(err) != c.refused || rest.Temporary(err) != c.temporary {
			t.Errorf("%v: refused %v, temporary %v", err, rest.Refused(err), rest.Temporary(err))
		}
		if h := rest.Hint(fmt.Errorf("outer: %w", err)); h != "do this" || !errors.Is(err, c.err) {
			t.Errorf("%v: hint %q", err, h)
		}
	}
	if h := rest.Hint(errors.New("x")); h != "" {
		t.Errorf("hint %q", h)
	}
}
