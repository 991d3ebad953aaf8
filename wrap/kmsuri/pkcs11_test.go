package kmsuri_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/kmsuri"
)

func TestParseToken(t *testing.T) {
	// The second one is of RFC 7512, section 3.
	for s, want := range map[string]kmsuri.Token{
		"?module-name=softhsm2": {ModuleName: "softhsm2"},
		"token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;object=my-key;type=private;serial=;x": {},
		"token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;object=my-key;type=private;id=%69%95%3E%5C%F4%BD%EC%91?pin-source=file:/etc/token_pin": {
			Attributes: map[string]string{"token": "The Software PKCS#11 Softtoken", "manufacturer": "Snake Oil, Inc.", "object": "my-key", "type": "private", "id": "i\x95>\\\xf4\xbd\xec\x91"},
			PINSource:  "/etc/token_pin",
		},
		"slot-id=0;object=ключ?module-path=/usr/lib/x.so&pin-source=file:///p": {
			Attributes: map[string]string{"slot-id": "0", "object": "ключ"}, ModulePath: "/usr/lib/x.so", PINSource: "/p",
		},
	} {
		got, err := kmsuri.ParseToken(s)
		if want.Attributes == nil && want.ModuleName == "" {
			if !errors.Is(err, kmsuri.ErrURI) {
				t.Errorf("%s: %v", s, err)
			}
			continue
		}
		if err != nil || !maps.Equal(got.Attributes, want.Attributes) || got.ModulePath != want.ModulePath || got.ModuleName != want.ModuleName || got.PINSource != want.PINSource {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
		again, err := kmsuri.ParseToken(got.String())
		if err != nil || again.String() != got.String() || !maps.Equal(again.Attributes, got.Attributes) {
			t.Errorf("%s became %s: %v", s, got, err)
		}
	}
}

// TestPINValue checks that a PIN in a URI is refused and not printed.
func TestPINValue(t *testing.T) {
	for _, s := range []string{"pkcs11:object=x?pin-value=4711", "pkcs11:?pin-value=4711&module-name=x", "pkcs11:object=x?pin-value=47%11&x", "pkcs11:object=x?max=1&pin-value=4711", "pkcs11:pin-value=4711", "pkcs11:object=x?PIN-VALUE=4711", "pkcs11:object=x;pin=4711", "pkcs11:object=x?pin=4711"} {
		if _, err := kmsuri.Parse(s); !errors.Is(err, kmsuri.ErrURI) || strings.Contains(err.Error(), "47") {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestForToken(t *testing.T) {
	const key = "pkcs11:token=vault%201;object=images;id=%01;type=secret-key"
	for _, c := range []struct{ uri, want string }{ // "" for an error
		{"pkcs11", key},
		{"pkcs11:?module-path=/m.so", key + "?module-path=/m.so"},
		{"pkcs11:object=images;slot-id=3?module-path=/m.so&pin-source=/p", key + ";slot-id=3?module-path=/m.so&pin-source=/p"},
		{"pkcs11:object=images;token=vault%201;id=%01", key},
		{"pkcs11:object=other", ""},
		{"pkcs11:id=%02", ""},
		{"pkcs11:type=private;object=images", ""},
		{"vault", ""},
	} {
		u, err := kmsuri.Parse(c.uri)
		if err != nil {
			t.Fatal(err)
		}
		got, err := u.For(&wrap.Envelope{KMS: key})
		if c.want == "" && !errors.Is(err, kmsuri.ErrOther) || c.want != "" && (err != nil || got.Scheme != kmsuri.PKCS11 || !same(t, got.String(), c.want)) {
			t.Errorf("%s: %s, %v; want %q", c.uri, got, err, c.want)
		}
	}
	// The name in an image identifies a key. It must not name a module or a file on this machine.
	any, err := kmsuri.Parse("pkcs11:?module-path=/m.so")
	if err != nil {
		t.Fatal(err)
	}
	for _, kms := range []string{
		"pkcs11", "pkcs11:token=x", "pkcs11:object=x?module-path=/evil.so", "pkcs11:object=x?pin-source=/etc/passwd", "pkcs11:slot-id=1;object=x",
		"pkcs11:object=x;token=y", "pkcs11:object=%78", "pkcs11:object=x?", "pkcs11:object=x?pin-value=1", "pkcs11:?module-name=x",
	} {
		if got, err := any.For(&wrap.Envelope{KMS: kms}); !errors.Is(err, kmsuri.ErrURI) {
			t.Errorf("%s: %s, %v", kms, got, err)
		}
	}
}

func same(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := kmsuri.ParseToken(strings.TrimPrefix(a, "pkcs11:"))
	y, err2 := kmsuri.ParseToken(strings.TrimPrefix(b, "pkcs11:"))
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return x.String() == y.String()
}

func FuzzParseToken(f *testing.F) {
	for _, s := range []string{"token=a%20b;object=k;id=%01%FF?module-path=/usr/lib/x.so&pin-source=file:/run/pin", "?module-name=x", "object=x?pin-value=1", "slot-id=1;type=private;id=%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := kmsuri.ParseToken(s)
		if err != nil {
			if !errors.Is(err, kmsuri.ErrURI) {
				t.Fatal(err)
			}
			return
		}
		again, err := kmsuri.ParseToken(got.String())
		if err != nil || !maps.Equal(got.Attributes, again.Attributes) || got.ModulePath != again.ModulePath || got.ModuleName != again.ModuleName || got.PINSource != again.PINSource {
			t.Fatalf("%q became %+v, and %q %+v: %v", s, got, got.String(), again, err)
		}
		if key, err := kmsuri.ParseToken(got.Key()); got.Key() != "" && (err != nil || key.Key() != got.Key() || strings.ContainsAny(got.Key(), "?/")) {
			t.Fatalf("%q has the key %q: %v", s, got.Key(), err)
		}
	})
}
