package luks_test

import (
	"testing"

	"github.com/luksimg/luksimg/luks"
)

func TestTokenFor(t *testing.T) {
	for _, c := range []struct {
		text  string
		slots []int
		want  string // "" for an error
	}{
		{`{"type":"a","keyslots":["0"],"n":1e30}`, nil, `{"type":"a","keyslots":["0"],"n":1e30}`},
		{`{"type":"a","keyslots":["0"],"n":12345678901234567890}`, []int{1, 0}, `{"keyslots":["0","1"],"n":12345678901234567890,"type":"a"}`},
		{`{"type":"a"}`, nil, `{"keyslots":[],"type":"a"}`},
		{`null`, []int{1}, `null`},
		{`[]`, nil, ""},
		{`{`, nil, ""},
	} {
		got, err := luks.TokenFor([]byte(c.text), c.slots...)
		if string(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s for %v: %s, %v; want %s", c.text, c.slots, got, err, c.want)
		}
	}
}
