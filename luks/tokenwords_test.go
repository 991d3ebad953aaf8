package luks

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// foreignToken returns a token that another program wrote; see testdata/tokens.
func foreignToken(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata/tokens", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

var foreignTokens = map[string]string{
	"systemd-tpm2":   "sealed to the TPM2 of one machine, PCRs 7+11 of sha256",
	"systemd-fido2":  "opens with a FIDO2 device, with a PIN, with a touch",
	"systemd-pkcs11": "opens with a PKCS#11 token pkcs11:token=Disk;id=%01;object=key;type=private",
	"clevis-tpm2":    "sealed to the TPM2 of one machine, PCRs 7 of sha256",
	"clevis-tang":    "opens where the Tang server http://127.0.0.1:8099 can be reached",
}

func TestTokenWords(t *testing.T) {
	token := func(text string) Token {
		k := Token{JSON: json.RawMessage(text)}
		json.Unmarshal(k.JSON, &k)
		return k
	}
	for name, want := range foreignTokens {
		if got := token(string(foreignToken(t, name))).Words(); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	pin := func(h string) string {
		return fmt.Sprintf(`{"type":"clevis","jwe":{"protected":%q}}`, base64.RawURLEncoding.EncodeToString([]byte(h)))
	}
	share := base64.RawURLEncoding.EncodeToString([]byte(`{"clevis":{"pin":"tang","tang":{"url":"http://a"}}}`)) + ".x"
	for text, want := range map[string]string{
		`{"type":"systemd-recovery"}`:                                              "a recovery key",
		`{"type":"luks2-keyring","key_description":"disk"}`:                        `the passphrase is in the kernel keyring as "disk"`,
		`{"type":"systemd-tpm2","tpm2-pin":true,"tpm2_pubkey_pcrs":[11]}`:          "sealed to the TPM2 of one machine, PCRs 11 by signature, with a PIN",
		`{"type":"systemd-tpm2","tpm2-pcrs":"x"}`:                                  "sealed to a TPM2",
		`{"type":"systemd-fido2","fido2-up-required":3}`:                           "opens with a FIDO2 device",
		`{"type":"else","x":1}`:                                                    "",
		`{"type":"clevis","jwe":"x"}`:                                              "",
		pin(`{"clevis":{"pin":"yubikey"}}`):                                        `opens by the pin "yubikey" of clevis`,
		pin(`{"clevis":{"pin":"sss","sss":{"t":1,"jwe":["` + share + `"]}}}`):      "opens by 1 of 1: opens where the Tang server http://a can be reached",
		`{"type":"luksimg-wdek","kms":"local:0a","key_convention":"classic-luks"}`: "opens with the root key local:0a, convention classic-luks",
		`{"type":"luksimg-wdek","root_key_crn":"crn:x","key_convention":"none"}`:   "opens with the root key crn:x",
		`{"type":"luksimg-wdek","kms":[]}`:                                         "",
		pin(`{}`):                                                                  "",
		pin(`null`):                                                                "",
	} {
		if got := token(text).Words(); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if got := token(`{"type":"systemd-pkcs11","pkcs11-uri":"` + strings.Repeat("é", maxWords) + `"}`).Words(); len(got) > maxWords+3 {
		t.Errorf("%d bytes", len(got))
	}
}

// FuzzTokenWords checks that every token has a short description.
func FuzzTokenWords(f *testing.F) {
	for name := range foreignTokens {
		f.Add(foreignToken(f, name))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for typ := range tokenWords {
			if got := (Token{Type: typ, JSON: text}).Words(); len(got) > maxWords+3 {
				t.Fatalf("%d bytes", len(got))
			}
		}
	})
}

// TestForeignTokensKept checks that changes of keys and of the header keep the tokens of other
// programs. Only the number of a removed key slot is removed.
func TestForeignTokensKept(t *testing.T) {
	ctx := context.Background()
	fast := KeyOptions{KDF: KDF{Type: PBKDF2, Iterations: 1000}}
	h, volumeKey, err := New(ctx, []byte("first"), Options{Version: 2, KDF: fast.KDF})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := h.DataOffset() + 1<<20
	if err = h.WriteHeader(f); err == nil {
		err = f.Truncate(size)
	}
	if err != nil {
		t.Fatal(err)
	}
	e, err := Edit(f, size, OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// Slots 1 and 2 belong to the tokens.
	for _, p := range []string{"one", "two"} {
		if _, err := e.AddKey(ctx, AnySlot, NewKey{VolumeKey: volumeKey, Passphrase: []byte(p), KeyOptions: fast}); err != nil {
			t.Fatal(err)
		}
	}
	for name := range foreignTokens {
		if _, err := e.AddToken(foreignToken(t, name), AnyToken); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	all := func() string {
		text, err := json.Marshal(e.Header().Tokens())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	want := all()
	backup := filepath.Join(t.TempDir(), "backup")
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"add", func() error {
			_, err := e.AddKey(ctx, 5, NewKey{VolumeKey: volumeKey, Passphrase: []byte("three"), KeyOptions: fast})
			return err
		}},
		{"change another", func() error { _, err := e.ChangeKey(ctx, []byte("first"), []byte("new"), fast); return err }},
		{"change that of a token", func() error { _, err := e.ChangeKey(ctx, []byte("one"), []byte("other"), fast); return err }},
		{"convert the KDF", func() error {
			_, err := e.ChangeKey(ctx, []byte("two"), []byte("two"), KeyOptions{KDF: KDF{Type: PBKDF2, Iterations: 2000}})
			return err
		}},
		{"remove another", func() error { _, err := e.RemoveKey(ctx, []byte("three"), false); return err }},
		{"priority", func() error { return e.SetPriority(1, "preferred") }},
		{"label", func() error { return e.SetLabel("label", "subsystem") }},
		{"add a token and remove it", func() error {
			n, err := e.AddToken([]byte(`{"type":"x","keyslots":[]}`), AnyToken)
			if err != nil {
				return err
			}
			return e.RemoveToken(n)
		}},
		{"backup and restore", func() error {
			b, err := os.Create(backup)
			if err != nil {
				return err
			}
			defer b.Close()
			if err := e.Header().Backup(b); err != nil {
				return err
			}
			n, err := b.Seek(0, 2)
			if err != nil {
				return err
			}
			if _, err := Restore(f, size, b, n, false); err != nil {
				return err
			}
			e, err = Edit(f, size, OpenOptions{})
			return err
		}},
		{"repair", func() error {
			if _, err := f.WriteAt([]byte("damaged"), 100); err != nil {
				return err
			}
			if e, err = Edit(f, size, OpenOptions{}); err != nil {
				return err
			}
			if there, err := e.Repair(); err != nil || !there {
				return fmt.Errorf("repaired %v: %w", there, err)
			}
			return nil
		}},
	} {
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := all(); got != want {
			t.Fatalf("%s: the tokens were\n%s\nand are\n%s", c.name, want, got)
		}
	}
	if err := e.Convert(1); err == nil {
		t.Error("a header with tokens was converted to LUKS1")
	}
	if err := e.KillSlot(1, false); err != nil {
		t.Fatal(err)
	}
	for _, k := range e.Header().Tokens() {
		var left map[string]any
		if err := json.Unmarshal(k.JSON, &left); err != nil || len(left) < 3 && k.Type != "clevis" || len(k.Keyslots) > 1 {
			t.Errorf("%s", k.JSON)
		}
	}
}
