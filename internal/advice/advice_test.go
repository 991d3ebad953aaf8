package advice_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/luksimg/luksimg/internal/advice"
)

// silent is an error whose method Hint returns "".
type silent struct{ error }

func (silent) Hint() string    { return "" }
func (s silent) Unwrap() error { return s.error }

func TestOf(t *testing.T) {
	kind := advice.New("text", "do this")
	plain := errors.New("plain")
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""}, {plain, ""}, {kind, "do this"}, {fmt.Errorf("a: %w", kind), "do this"},
		{advice.With(kind, "do that"), "do that"}, {advice.With(plain, "do that"), "do that"},
		{silent{kind}, "do this"}, {silent{plain}, ""},
		{errors.Join(plain, kind), "do this"}, {fmt.Errorf("%w: %w", silent{plain}, kind), "do this"},
	} {
		if got := advice.Of(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
	if err := advice.With(kind, "do that"); !errors.Is(err, kind) || err.Error() != "text" {
		t.Errorf("%v", err)
	}
}
