package exit

import (
	"errors"
	"fmt"
	"testing"

	"github.com/luksimg/luksimg/internal/rest"
)

// TestMessages: errors that were joined have a line each.
func TestMessages(t *testing.T) {
	a, b := fmt.Errorf("a"), fmt.Errorf("b\n\x1b")
	for _, c := range []struct {
		err  error
		want int
	}{
		{a, 1}, {b, 1}, {errors.Join(a, b), 2}, {rest.WithHint(errors.Join(a, b), "h"), 2}, {fmt.Errorf("x: %w", errors.Join(a, b)), 1},
	} {
		if got := messages(c.err); len(got) != c.want {
			t.Errorf("%q: %q", c.err, got)
		}
	}
}
