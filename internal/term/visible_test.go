package term

import (
	"encoding/json"
	"testing"
)

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"":                   "",
		"disk of 1.5 GB":     "disk of 1.5 GB",
		"Grüße 世界 C:\\x":     "Grüße 世界 C:\\x",
		"\x1b[31mred\a":      `\x1b[31mred\x07`,
		"a\nb\tc\r":          `a\nb\tc\x0d`,
		"\u009b2J":           `\u009b2J`,
		"\u202etxt\u2066x":   `\u202etxt\u2066x`,
		"zero\u200bwidth":    `zero\u200bwidth`,
		"\x7f\xff\xfe\xc3":   `\x7f\xff\xfe\xc3`,
		"\U000e0041":         `\U000e0041`,
		"\u2028line":         `\u2028line`,
		"replaced \ufffd is": "replaced \ufffd is",
	} {
		if got := Visible(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := VisibleLines("a\nb\x1b\n"); got != "a\nb\\x1b\n" {
		t.Errorf("VisibleLines: got %q", got)
	}
}

func TestVisibleJSON(t *testing.T) {
	in := map[string]string{"a": "\x1b\u009b\x7f\u202e\U000e0041 plain 世界\n"}
	text, err := json.MarshalIndent(in, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = VisibleJSON(text)
	if got := VisibleLines(string(text)); got != string(text) {
		t.Errorf("VisibleLines changed the output of VisibleJSON: got %s", got)
	}
	var out map[string]string
	if err := json.Unmarshal(text, &out); err != nil || out["a"] != in["a"] {
		t.Errorf("%q, want %q: %v", out, in, err)
	}
}
