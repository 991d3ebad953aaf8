package wrap_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/local"
)

// newToken returns a token with a new root key.
func newToken(t testing.TB, uuid string, slots ...int) (wrap.Token, *local.Key) {
	t.Helper()
	root, err := local.New([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := wrap.Seal(t.Context(), root, []byte("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="), wrap.SealOptions{KMS: root.String(), ImageUUID: uuid})
	if err != nil {
		t.Fatal(err)
	}
	return wrap.Token{Envelope: e, Keyslots: slots}, root
}

const (
	imageA = "7d9f4ad6-2d0b-4b6e-9d3a-3b8c7f3f2a11"
	imageB = "11111111-2d0b-4b6e-9d3a-3b8c7f3f2a11"
)

func TestToken(t *testing.T) {
	token, root := newToken(t, imageA, 3, 0)
	text, err := token.JSON()
	if err != nil {
		t.Fatal(err)
	}
	back, err := wrap.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(back.Keyslots) != 2 || back.Keyslots[0] != 3 || back.Keyslots[1] != 0 || back.KMS != root.String() {
		t.Errorf("read %+v of %s", back, text)
	}
	if err := back.Of(strings.ToUpper(imageA)); err != nil {
		t.Error(err)
	}
	if err := back.Of(imageB); !errors.Is(err, wrap.ErrMoved) {
		t.Errorf("of another image: %v", err)
	}
	if err := back.Of(""); !errors.Is(err, wrap.ErrMoved) {
		t.Errorf("of an image without a UUID: %v", err)
	}
	key, err := wrap.Open(t.Context(), root, back.Envelope)
	if err != nil {
		t.Fatal(err)
	}
	key.Clear()
	// A token that is moved needs another UUID, for which nobody without the key can compute the binding.
	moved, err := wrap.ParseToken([]byte(strings.Replace(string(text), imageA, imageB, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wrap.Open(t.Context(), root, moved.Envelope); !errors.Is(err, wrap.ErrBinding) || advice.Of(err) == "" || strings.Contains(err.Error(), "envelope") {
		t.Errorf("with another UUID: %v", err)
	}
}

// TestTokenLater checks that unknown members survive.
func TestTokenLater(t *testing.T) {
	token, _ := newToken(t, imageA, 0)
	text, err := token.JSON()
	if err != nil {
		t.Fatal(err)
	}
	later, err := wrap.ParseToken([]byte(`{"later":[1],` + string(text[1:])))
	if err != nil {
		t.Fatal(err)
	}
	if text, err = later.JSON(); err != nil || !strings.Contains(string(text), `"later":[1]`) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestTokenRefuses(t *testing.T) {
	token, _ := newToken(t, imageA, 0)
	text, err := token.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2]string{
		"no object":        {string(text), `[]`},
		"type":             {wrap.TokenType, "clevis"},
		"no keyslots":      {`"keyslots"`, `"key_slots"`},
		"null":             {`["0"]`, `null`},
		"numbers":          {`["0"]`, `[0]`},
		"twice":            {`["0"]`, `["0","0"]`},
		"too large":        {`["0"]`, `["32"]`},
		"another notation": {`["0"]`, `["00"]`},
		"negative":         {`["0"]`, `["-1"]`},
		"not bound":        {`"version":2`, `"version":1`},
		"later":            {`"version":2`, `"version":3`},
		"no image":         {`"image_uuid"`, `"image"`},
		"member twice":     {`{`, `{"wdek":"x",`},
		"no wdek":          {`"wdek"`, `"wdeks"`},
	} {
		bad := strings.Replace(string(text), c[0], c[1], 1)
		if bad == string(text) {
			t.Fatalf("%s: nothing to replace in %s", name, text)
		}
		if _, err := wrap.ParseToken([]byte(bad)); !errors.Is(err, wrap.ErrToken) || strings.Contains(err.Error(), "envelope") {
			t.Errorf("%s: %v", name, err)
		}
	}
	token.ImageUUID = ""
	if _, err := token.JSON(); !errors.Is(err, wrap.ErrToken) {
		t.Errorf("without an image: %v", err)
	}
	if _, err := (wrap.Token{Envelope: &wrap.Envelope{WDEK: "x", KMS: "y", ImageUUID: imageA}}).JSON(); !errors.Is(err, wrap.ErrToken) {
		t.Errorf("not bound: %v", err)
	}
	if _, err := (wrap.Token{}).JSON(); !errors.Is(err, wrap.ErrToken) {
		t.Errorf("nothing: %v", err)
	}
}

func FuzzToken(f *testing.F) {
	token, _ := newToken(f, imageA, 0, 31)
	text, err := token.JSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"type":"luksimg-wdek","keyslots":[]}`))
	f.Add([]byte(`{"type":"luksimg-wdek","keyslots":["0"],"version":2,"wdek":"x","kms":"vault:transit/k","key_convention":"none","image_uuid":"` + imageA + `"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		token, err := wrap.ParseToken(text)
		if err != nil {
			if !errors.Is(err, wrap.ErrToken) {
				t.Fatal(err)
			}
			return
		}
		again, err := token.JSON()
		if err != nil {
			if len(text) < 32<<10 { // unknown members can become longer when written
				t.Fatalf("%s: %v", text, err)
			}
			return
		}
		back, err := wrap.ParseToken(again)
		if err != nil || back.WDEK != token.WDEK || back.KMS != token.KMS || back.RootKeyCRN != token.RootKeyCRN || back.ImageUUID != token.ImageUUID || len(back.Keyslots) != len(token.Keyslots) {
			t.Fatalf("%s became %s: %v", text, again, err)
		}
	})
}
