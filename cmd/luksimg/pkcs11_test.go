package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/internal/need"
)

// TestPKCS11 opens images with a key on a SoftHSM2 token, through tokens in their headers and through envelopes.
func TestPKCS11(t *testing.T) {
	need.Judge(t, "softhsm2-util")
	h := need.HSM(t)
	h.AES("images", "01")
	h.AES("new", "02")
	t.Setenv(envPKCS11Module, "")
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("pin", h.PIN+"\n")
	write("wrong", "wrong-pin")
	write("empty", "\n")
	noise(t, at("disk"), 64<<10)
	key := func(object string) string {
		return "pkcs11:token=luksimg%20test;object=" + object + "?module-path=" + h.Module + "&pin-source=" + at("pin")
	}
	any := "pkcs11:?module-path=" + h.Module + "&pin-source=file:" + at("pin")
	image := at("elsewhere")
	done(t, "encrypt", "--kms", key("images"), at("disk"), at("made"))
	if err := os.Rename(at("made"), image); err != nil {
		t.Fatal(err)
	}
	opens := func(kms string) {
		t.Helper()
		done(t, "decrypt", "-q", "--force", "--kms", kms, image, at("back"))
		want, _ := os.ReadFile(at("disk"))
		if got, err := os.ReadFile(at("back")); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("the decrypted data differs: %v", err)
		}
	}
	opens(any)
	opens(key("images"))
	if out := done(t, "inspect", image); !strings.Contains(out, "pkcs11:token=luksimg%20test;object=images;id=%01;type=secret-key") || strings.Contains(out, "pin-source") || strings.Contains(out, "module") {
		t.Errorf("inspect says\n%s", out)
	}
	done(t, "verify", "--kms", any, at("disk"), image)

	// Rewrap an envelope from one key service to another.
	done(t, "unwrap", "--kms", any, "--image", image, at("dek"))
	done(t, "keygen", "--kms", "local:"+at("root"))
	done(t, "wrap", "--kms", key("images"), "--key-file", at("dek"), "--envelope", at("e.json"))
	done(t, "rewrap", "--envelope", at("e.json"), "--kms", any, "--new-kms", "local:"+at("root"))
	done(t, "rewrap", "--envelope", at("e.json"), "--kms", "local:"+at("root"), "--new-kms", key("new"))
	done(t, "unwrap", "--envelope", at("e.json"), "--kms", any, at("dek2"))
	if a, err := os.ReadFile(at("dek")); err != nil {
		t.Fatal(err)
	} else if b, err := os.ReadFile(at("dek2")); err != nil || !bytes.Equal(a, b) {
		t.Errorf("the key in the envelope differs: %v", err)
	}

	// A key on a token has no versions: a rotation uses another key.
	fails(t, exit.Failure, "no versions", "rewrap", "--kms", any, image)
	done(t, "rewrap", "--kms", any, "--new-kms", key("new"), image)
	fails(t, exit.Failure, "another root key wrapped the key", "decrypt", "--kms", key("images"), image, at("no"))
	opens(key("new"))

	source := func(name string) string { return strings.Replace(any, at("pin"), at(name), 1) }
	for _, x := range []struct {
		code      int
		want, kms string
	}{
		{exit.Refused, "CKR_PIN_INCORRECT", source("wrong")},
		{exit.Failure, "is empty", source("empty")},
		{exit.Failure, "no such file", source("absent")},
		{exit.Refused, "requires a PIN", "pkcs11:?module-path=" + h.Module},
		{exit.Failure, "no module is given", "pkcs11"},
		{exit.Failure, "users of the machine", "pkcs11:?pin-value=" + h.PIN},
	} {
		fails(t, x.code, x.want, "decrypt", "--kms", x.kms, image, at("no"))
	}
	fails(t, exit.Failure, "no such token; these are present: \"luksimg test\"", "encrypt", "--kms", strings.Replace(key("new"), "%20test", "", 1), at("disk"), at("no"))
	fails(t, exit.Refused, "not found", "encrypt", "--kms", key("absent"), at("disk"), at("no"))
	fails(t, exit.Failure, "is read", "encrypt", "--force", "--kms", key("new"), at("disk"), at("pin"))
	t.Setenv(envPKCS11Module, h.Module)
	fails(t, exit.Refused, "requires a PIN", "decrypt", "--kms", "pkcs11", image, at("no"))
	done(t, "key", "test", "--kms", "pkcs11:?pin-source="+at("pin"), image)

	// A wrong PIN is tried once per run, for any number of tokens.
	done(t, "wrap", "--kms", key("images"), "--key-file", at("dek"), "--token", image)
	if out := done(t, "token", "list", image); strings.Count(out, "pkcs11:") != 2 {
		t.Fatalf("want two tokens:\n%s", out)
	}
	counter := at("counter")
	if err := os.MkdirAll(counter, 0o700); err != nil {
		t.Fatal(err)
	}
	program, err := findPKCS11()
	if err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\necho x >>" + at("asked") + "\nexec " + program + "\n"
	if err := os.WriteFile(filepath.Join(counter, "luksimg-pkcs11"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("PATH")
	t.Setenv("PATH", counter+":"+path)
	fails(t, exit.Refused, "CKR_PIN_INCORRECT", "decrypt", "--kms", source("wrong"), image, at("no"))
	if asked, err := os.ReadFile(at("asked")); err != nil || strings.Count(string(asked), "x") != 1 {
		t.Errorf("a wrong PIN was tried %d times: %v", strings.Count(string(asked), "x"), err)
	}

	// The program that loads modules crashes or is missing.
	if err := os.WriteFile(filepath.Join(counter, "luksimg-pkcs11"), []byte("#!/bin/sh\necho it broke >&2\nkill -9 $$\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	fails(t, exit.Failure, "killed: it broke", "decrypt", "--kms", any, image, at("no"))
	t.Setenv("PATH", dir)
	fails(t, exit.Failure, "is not installed", "decrypt", "--kms", any, image, at("no"))
	if _, err := os.Stat(at("no")); err == nil {
		t.Error("an output of a failed run exists")
	}
}
