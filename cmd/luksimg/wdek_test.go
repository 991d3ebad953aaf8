package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/wrap"
)

// done runs the command, which must succeed, and returns its output.
func done(t *testing.T, args ...string) string {
	t.Helper()
	code, out := runIn(t.Context(), args...)
	if code != exit.Done {
		t.Fatalf("%q: %d\n%s", args, code, out)
	}
	return out
}

// TestWDEKCryptsetup has cryptsetup show, keep, export, remove and import the token with the wrapped key.
func TestWDEKCryptsetup(t *testing.T) {
	need.Judge(t, "cryptsetup")
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	noise(t, at("disk"), 64<<10)
	for _, k := range []string{"a", "b", "c"} {
		if err := os.WriteFile(at(k), []byte("key "+k), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cryptsetup := func(args ...string) string {
		t.Helper()
		return need.Run(t, dir, "cryptsetup", append([]string{"-q", "--disable-locks"}, args...)...)
	}
	fast := []string{"--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"}
	kms := "local:" + at("root")
	done(t, "keygen", "--kms", kms)
	done(t, append([]string{"encrypt", "--kms", kms, "--key-file", at("a"), at("disk"), at("image")}, fast...)...)
	opens := func(when string) {
		t.Helper()
		done(t, "decrypt", "-q", "--force", "--kms", kms, at("image"), at("back"))
		want, _ := os.ReadFile(at("disk"))
		if got, err := os.ReadFile(at("back")); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s: the decrypted data differs: %v", when, err)
		}
	}
	opens("made")

	if dump := cryptsetup("luksDump", "image"); !strings.Contains(dump, "0: luksimg-wdek") || !strings.Contains(dump, "Keyslot:    0") {
		t.Errorf("luksDump does not show the token:\n%s", dump)
	}
	text := cryptsetup("token", "export", "--token-id", "0", "image")
	token, err := wrap.ParseToken([]byte(text))
	if err != nil || len(token.Keyslots) != 1 || token.Keyslots[0] != 0 {
		t.Fatalf("exported %s: %v", text, err)
	}

	cryptsetup(append([]string{"luksAddKey", "--key-file", "a", "image", "b"}, fast...)...)
	opens("cryptsetup added a key")
	cryptsetup("luksConvertKey", "--key-file", "a", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1200", "image")
	opens("cryptsetup converted a key slot")
	cryptsetup("config", "--label", "changed", "image")
	opens("cryptsetup changed the label")
	done(t, "header", "backup", at("image"), at("header"))
	cryptsetup("token", "remove", "--token-id", "0", "image")
	if code, out := runIn(t.Context(), "key", "test", "--kms", kms, at("image")); code != exit.Failure || !strings.Contains(out, "no token of this root key") {
		t.Errorf("without a token: %d\n%s", code, out)
	}
	need.Input(t, dir, text, "cryptsetup", "-q", "--disable-locks", "token", "import", "--token-id", "5", "image")
	opens("cryptsetup imported it")
	done(t, "header", "restore", at("image"), at("header"))
	opens("its header was restored")

	// If cryptsetup removes the key slot, the token no longer opens the image.
	cryptsetup("luksKillSlot", "--key-file", "b", "image", "0")
	if code, out := runIn(t.Context(), "key", "test", "--kms", kms, at("image")); code != exit.Failure || !strings.Contains(out, "no such key slot") {
		t.Errorf("without its key slot: %d\n%s", code, out)
	}
	done(t, "wrap", "-q", "--kms", kms, "--key-file", at("b"), "--token", at("image"))
	opens("rewrapped")
	if dump := cryptsetup("luksDump", "image"); strings.Count(dump, "luksimg-wdek") != 1 || !strings.Contains(dump, "Keyslot:    1") {
		t.Errorf("luksDump:\n%s", dump)
	}
	cryptsetup("open", "--test-passphrase", "--key-file", "b", "image")
}
