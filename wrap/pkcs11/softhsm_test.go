package pkcs11_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/kmsuri"
	"github.com/luksimg/luksimg/wrap/pkcs11"
)

// run starts the luksimg-pkcs11 on the PATH.
func run(ctx context.Context, request []byte) ([]byte, error) {
	cmd := exec.CommandContext(ctx, pkcs11.Program)
	cmd.Stdin = bytes.NewReader(request)
	return cmd.Output()
}

// hsm returns a client for a key of SoftHSM2. attributes are pairs of a name and a value.
func hsm(t *testing.T, module, pin string, attributes ...string) *pkcs11.Client {
	t.Helper()
	o := pkcs11.Options{Key: kmsuri.Token{Attributes: map[string]string{}, ModulePath: module}, Run: run}
	if pin != "" {
		o.PIN = []byte(pin)
	}
	for i := 0; i < len(attributes); i += 2 {
		o.Key.Attributes[attributes[i]] = attributes[i+1]
	}
	c, err := pkcs11.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSoftHSM wraps keys of many lengths with a known key of SoftHSM2. OpenSSL and Go unwrap them without the token.
func TestSoftHSM(t *testing.T) {
	need.Judge(t, "openssl")
	h := need.HSM(t)
	key := []byte("a key of AES-256 that is known!!")
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, key, 0o600); err != nil {
		t.Fatal(err)
	}
	h.Tool("--write-object", file, "--type", "secrkey", "--key-type", "AES:32", "--label", "known", "--id", "0a", "--usage-decrypt", "--usage-wrap")
	c := hsm(t, h.Module, h.PIN, "token", h.Label, "object", "known")
	root, err := c.Find(t.Context())
	if err != nil || root.KMS != "pkcs11:token=luksimg%20test;object=known;id=%0A;type=secret-key" {
		t.Fatalf("%v, %v", root, err)
	}
	for _, n := range []int{1, 16, 32, 33, 64, 384} {
		data := bytes.Repeat([]byte("0123456789abcdef"), 24)[:n]
		wdek, err := c.Wrap(t.Context(), []byte(base64.StdEncoding.EncodeToString(data)))
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		name, text, _ := strings.Cut(strings.TrimPrefix(wdek, "pkcs11:"), ":")
		wrapped, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		// SoftHSM2 does not remove the padding, so AES-GCM is used for other lengths.
		if want := map[bool]string{true: "aes-key-wrap-pad", false: "aes-gcm"}[n%8 == 0]; name != want {
			t.Errorf("%d bytes: by %s, want %s", n, name, want)
		}
		if got := without(t, name, key, wrapped); !bytes.Equal(got, data) {
			t.Errorf("%d bytes: by %s, and without the token %x", n, name, got)
		}
		back, err := c.Unwrap(t.Context(), wdek)
		if err != nil || string(back.Plaintext) != base64.StdEncoding.EncodeToString(data) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// without unwraps a wrapped key without a token.
func without(t *testing.T, name string, key, wrapped []byte) []byte {
	t.Helper()
	if name == "aes-gcm" {
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		data, err := gcm.Open(nil, wrapped[:12], wrapped[12:], nil)
		if err != nil {
			t.Error(err)
		}
		return data
	}
	cmd := exec.Command("openssl", "enc", "-d", "-id-aes256-wrap-pad", "-K", hex.EncodeToString(key), "-iv", "a65959a6")
	cmd.Stdin = bytes.NewReader(wrapped)
	data, err := cmd.Output()
	if err != nil {
		t.Errorf("openssl: %v", err)
	}
	return data
}

// TestSoftHSMRefuses checks the error and the hint for each refusal of the module and the token, and that a wrong PIN
// is tried only once.
func TestSoftHSMRefuses(t *testing.T) {
	need.Judge(t, "softhsm2-util")
	h := need.HSM(t)
	h.AES("images", "01")
	h.AES("other", "02")
	h.AES("twin", "03")
	h.AES("twin", "04")
	h.Tool("--keypairgen", "--key-type", "rsa:2048", "--label", "rsa", "--id", "05", "--usage-decrypt")
	h.Tool("--keygen", "--key-type", "GENERIC:32", "--label", "generic", "--id", "06")
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, make([]byte, 32), 0o600); err != nil {
		t.Fatal(err)
	}
	c := hsm(t, h.Module, h.PIN, "object", "images")
	wdek, err := c.Wrap(t.Context(), plaintext)
	if err != nil {
		t.Fatal(err)
	}
	flip := []byte(wdek)
	flip[len(flip)-10] ^= 1
	unwrap := func(c *pkcs11.Client, wdek string) error {
		_, err := c.Unwrap(t.Context(), wdek)
		return err
	}
	find := func(pin string, attributes ...string) error {
		_, err := hsm(t, h.Module, pin, attributes...).Find(t.Context())
		return err
	}
	private := hsm(t, h.Module, h.PIN, "object", "rsa")
	byRSA, rsaErr := private.Wrap(t.Context(), plaintext)
	if rsaErr == nil {
		rsaErr = unwrap(private, byRSA)
	}
	module := func(path string) error {
		_, err := hsm(t, path, h.PIN).Find(t.Context())
		return err
	}
	for name, x := range map[string]struct {
		err, want error
		refused   bool
	}{
		"no such module":            {module("/no/such/module.so"), pkcs11.ErrModule, false},
		"a module by half a path":   {module("libsofthsm2.so"), pkcs11.ErrModule, false},
		"no library":                {module(file), pkcs11.ErrModule, false},
		"a library, and no module":  {module("/lib/x86_64-linux-gnu/libc.so.6"), pkcs11.ErrModule, false},
		"no such token":             {find(h.PIN, "token", "no"), wrap.ErrUnavailable, false},
		"no such serial":            {find(h.PIN, "serial", "no"), wrap.ErrUnavailable, false},
		"no PIN":                    {find(""), pkcs11.ErrNoPIN, true},
		"no such key":               {find(h.PIN, "object", "no"), wrap.ErrNotFound, true},
		"an id of another key":      {find(h.PIN, "object", "images", "id", "\x02"), wrap.ErrNotFound, true},
		"two keys":                  {find(h.PIN, "object", "twin"), wrap.ErrNotFound, true},
		"another sort of key":       {find(h.PIN, "object", "generic"), wrap.ErrNotFound, true},
		"RSA keys are not asked":    {find(h.PIN, "object", "images", "type", "private"), wrap.ErrNotFound, true},
		"OAEP with SHA-256":         {rsaErr, wrap.ErrKeyState, true}, // SoftHSM2 supports only SHA-1
		"damaged":                   {unwrap(c, string(flip)), wrap.ErrWDEK, true},
		"another key":               {unwrap(hsm(t, h.Module, h.PIN, "object", "other"), wdek), wrap.ErrWDEK, true},
		"a mechanism of other keys": {unwrap(c, "pkcs11:rsa-oaep-sha256:AAAA"), wrap.ErrKeyState, true},
		"a GCM that is too short":   {unwrap(c, "pkcs11:aes-gcm:AAAA"), wrap.ErrWDEK, true},
		"a GCM of zeros":            {unwrap(c, "pkcs11:aes-gcm:"+strings.Repeat("AAAA", 20)), wrap.ErrWDEK, true},
		"a wrong PIN":               {find("wrong-pin-of-the-user"), pkcs11.ErrPIN, true},
		"a PIN that is too short":   {find("1"), pkcs11.ErrPIN, true},
		"the PIN of the officer":    {find("pin-of-the-officer"), pkcs11.ErrPIN, true},
	} {
		if !errors.Is(x.err, x.want) || rest.Refused(x.err) != x.refused || rest.Hint(x.err) == "" || x.err != nil && strings.Contains(x.err.Error(), "-of-the-") {
			t.Errorf("%s: %v, refused %v, hint %q; want %v", name, x.err, rest.Refused(x.err), rest.Hint(x.err), x.want)
		}
	}
	// By the name of the module in a folder, and by id if two labels are equal.
	o := pkcs11.Options{Key: kmsuri.Token{Attributes: map[string]string{"id": "\x03", "type": "secret-key"}, ModuleName: "softhsm2", ModulePath: filepath.Dir(h.Module)}, PIN: []byte(h.PIN), Run: run}
	byName, err := pkcs11.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if root, err := byName.Find(t.Context()); err != nil || root.KMS != "pkcs11:token=luksimg%20test;object=twin;id=%03;type=secret-key" {
		t.Errorf("%v, %v", root, err)
	}
}
