package exit

import (
	"errors"
	"fmt"
	"testing"

	"github.com/luksimg/luksimg/internal/rest"
)

// TestMessages checks that each of several joined errors has a line.
func TestMessages(t *testing.T) {
	a, b := fmt.Errorf("a"), fmt.Errorf("b\n\x1b")
	for _, c := range []struct {
		err  error
		want int
	}{
		{a, 1}, {b, 1}, {errors.Join(a, b), 2}, {rest.WithHint(errors.Join(a, b), "h"), 2}, {fmt.Errorf("x: %w", errors.Join(a, b)), 2},
		{fmt.Errorf("%w: y: %w", a, errors.Join(a, a, b)), 3}, {fmt.Errorf("x: %w", errors.Join(a, fmt.Errorf("y: %w", errors.Join(a, a)))), 3},
		{fmt.Errorf("%w: %w", a, a), 1}, {fmt.Errorf("x: %w.", errors.Join(a, a)), 1},
	} {
		if got := messages(c.err); len(got) != c.want {
			t.Errorf("%q: %q", c.err, got)
		}
	}
	got := messages(fmt.Errorf("x: %w", rest.WithHint(errors.Join(a, fmt.Errorf("c")), "h")))
	if len(got) != 2 || got[0] != "x: a" || got[1] != "x: c" {
		t.Errorf("messages: got %q", got)
	}
	if got := messages(fmt.Errorf("x: %w.", errors.Join(a, a))); got[0] != "x: a; a." {
		t.Errorf("messages: got %q", got)
	}
}
