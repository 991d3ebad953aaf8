package members

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	strict := Rules{Depth: 2, LowerCase: true, NoNull: true}
	for _, c := range []struct {
		rules      Rules
		text, want string
	}{
		{strict, `{"a":[1,"x"],"b":true}`, ""},
		{strict, `{"a":1,"a":2}`, "twice"},
		{strict, `{"a":{"b":1,"b":1}}`, "twice"},
		{strict, `{"A":1}`, "lower case"},
		{strict, `{"a":null}`, "null"},
		{strict, `[[[]]]`, "deeply"},
		{strict, `{"a":`, "EOF"},
		{Rules{Depth: 1}, `{"A":null}`, ""},
		{Rules{Depth: 1}, `{"a":1,"A":2}`, "twice"},
	} {
		err := c.rules.Check(json.NewDecoder(strings.NewReader(c.text)))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.text, err, c.want)
		}
	}
}
