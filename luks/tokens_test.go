package luks_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// TestNewTokens makes an image with tokens from the start.
func TestNewTokens(t *testing.T) {
	fast := luks.KDF{Type: luks.PBKDF2, Iterations: 1000}
	make := func(version, slot int, tokens ...string) (*luks.Header, error) {
		o := luks.Options{Version: version, KDF: fast, KeySlot: slot}
		for _, text := range tokens {
			o.Tokens = append(o.Tokens, json.RawMessage(text))
		}
		h, key, err := luks.New(t.Context(), []byte("a passphrase"), o)
		clear(key)
		return h, err
	}
	h, err := make(2, 3, `{"type":"a","keyslots":["3"],"n":12345678901234567890}`, `{"type":"b","keyslots":[]}`)
	if err != nil {
		t.Fatal(err)
	}
	if all := h.Info().Tokens; len(all) != 2 || all[0].Type != "a" || all[1].Number != 1 {
		t.Errorf("made %+v", all)
	}
	name := filepath.Join(t.TempDir(), "disk.luks")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := h.WriteHeader(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(h.DataOffset() + 4096); err != nil {
		t.Fatal(err)
	}
	back, err := luks.Open(f, h.DataOffset()+4096, luks.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if all := back.Tokens(); len(all) != 2 || !strings.Contains(string(all[0].JSON), "12345678901234567890") || len(all[0].Keyslots) != 1 || all[0].Keyslots[0] != 3 {
		t.Errorf("read %+v", all)
	}
	e, err := luks.Edit(f, h.DataOffset()+4096, luks.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.ReplaceToken([]byte(`{"type":"c","keyslots":["3"]}`), 1); err != nil {
		t.Fatal(err)
	}
	if all := e.Header().Tokens(); len(all) != 2 || all[1].Type != "c" {
		t.Errorf("replaced: %+v", all)
	}
	if err := e.ReplaceToken([]byte(`{"type":"c","keyslots":["3"]}`), 2); err == nil {
		t.Error("a missing token was replaced")
	}
	if err := e.ReplaceToken([]byte(`{"type":"c","keyslots":["0"]}`), 1); err == nil {
		t.Error("a token for a missing key slot was accepted")
	}
	for name, c := range map[string]struct {
		version int
		tokens  []string
	}{
		"LUKS1":         {1, []string{`{"type":"a","keyslots":[]}`}},
		"another slot":  {2, []string{`{"type":"a","keyslots":["1"]}`}},
		"no type":       {2, []string{`{"keyslots":[]}`}},
		"no slots":      {2, []string{`{"type":"a"}`}},
		"no object":     {2, []string{`[]`}},
		"no JSON":       {2, []string{`{`}},
		"too long":      {2, []string{`{"type":"a","keyslots":[],"x":"` + strings.Repeat("x", 16<<10) + `"}`}},
		"too many":      {2, slices.Repeat([]string{`{"type":"a","keyslots":[]}`}, 33)},
		"members twice": {2, []string{`{"type":"a","type":"b","keyslots":[]}`}},
	} {
		if _, err := make(c.version, 0, c.tokens...); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
