package clevis

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// golden returns a file that clevis and tang made: see testdata/make.sh.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// goldenServer returns a server with the exchange key of the golden files.
func goldenServer(t testing.TB) *server {
	t.Helper()
	var k struct {
		publicKey
		D string `json:"d"`
	}
	if err := json.Unmarshal(golden(t, "exchange.jwk"), &k); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, k.Crv)
	var err error
	if s.secret, err = b64.DecodeString(k.D); err != nil {
		t.Fatal(err)
	}
	s.public = &k.publicKey
	return s
}

// TestGolden opens the bindings that clevis made.
func TestGolden(t *testing.T) {
	s := goldenServer(t)
	token, err := FromToken(golden(t, "token.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"tang.jwe": "the secret", "sss.jwe": "the secret", "token.json": ""} {
		b := token
		if want != "" {
			b = golden(t, name)
		}
		got, err := Decrypt(context.Background(), b, s)
		if err != nil || want != "" && string(got) != want || len(got) < 10 {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	a, err := parseAdvertisement(golden(t, "adv.jws"))
	if err != nil || a.derive.thumbprint() != s.public.thumbprint() {
		t.Errorf("%+v, %v", a, err)
	}
}
