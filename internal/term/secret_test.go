package term

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", maxSecret-1)
	for _, c := range []struct{ in, line, rest string }{
		{"secret\nnext", "secret", "next"},
		{"secret\r\n", "secret", ""},
		{"secret", "secret", ""},
		{"\n", "", ""},
		{" a\rb \n", " a\rb ", ""},
		{long + "\n", long, ""},
	} {
		r := strings.NewReader(c.in)
		line, err := readLine(r)
		if err != nil || string(line) != c.line || cap(line) > len(line)+1 {
			t.Errorf("%.20q: %.20q, %v", c.in, line, err)
		}
		if rest, _ := io.ReadAll(r); string(rest) != c.rest {
			t.Errorf("%.20q: the rest is %q", c.in, rest)
		}
	}
	if _, err := readLine(strings.NewReader("")); err != io.EOF {
		t.Errorf("empty input: %v", err)
	}
	if _, err := readLine(strings.NewReader(long + "xx\n")); err == nil || !strings.Contains(err.Error(), "longer than 8192 bytes") {
		t.Errorf("too long: %v", err)
	}
	broken := errors.New("broken")
	if _, err := readLine(io.MultiReader(strings.NewReader("sec"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("broken: %v", err)
	}
}
