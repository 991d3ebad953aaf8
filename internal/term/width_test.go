package term

import (
	"bytes"
	"strings"
	"testing"
)

// TestBarWidth draws the bar on terminals that are narrow, or become narrow.
func TestBarWidth(t *testing.T) {
	const whole = "encrypt 42 %, 42 B of 100 B, 0 B/s"
	for _, c := range []struct {
		width, then int
		first, next string // expected lines
	}{
		{0, 0, whole, whole},
		{200, 200, whole, whole},
		{len(whole) + 1, len(whole) + 1, whole, whole},
		{len(whole), len(whole), whole[:len(whole)-1], whole[:len(whole)-1]},
		{20, 20, whole[:19], whole[:19]},
		{80, 20, whole, whole[:19]},
		{20, 80, whole[:19], whole},
		{1, 2, "e", "e"},
	} {
		var b bytes.Buffer
		width := c.width
		p := &Progress{w: &b, width: func() int { return width }, phase: "encrypt", total: 100}
		p.Add(42)
		p.report(Bar)
		width = c.then
		p.report(Bar)
		p.clear()
		lines := strings.Split(b.String(), "\r")
		if len(lines) != 5 || lines[1] != c.first || lines[2] != c.next {
			t.Errorf("%d columns, then %d: %q", c.width, c.then, b.String())
			continue
		}
		blank := lines[3]
		if strings.Trim(blank, " ") != "" || len(blank) < len(c.next) || c.then > 1 && len(blank) >= c.then {
			t.Errorf("%d columns, then %d: cleared with %d spaces", c.width, c.then, len(blank))
		}
	}
}
