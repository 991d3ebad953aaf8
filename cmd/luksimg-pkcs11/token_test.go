package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg-pkcs11/internal/cryptoki"
)

const module = "/usr/lib/softhsm/libsofthsm2.so"

// withToken runs a test again in a process with a SoftHSM2 token in its environment, and returns true there. The C
// library reads the environment only when the process starts. Without SoftHSM2 the test is skipped, or fails if
// CI=true.
func withToken(t *testing.T) bool {
	t.Helper()
	if os.Getenv("SOFTHSM2_CONF") != "" {
		return true
	}
	if _, err := os.Stat(module); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+dir+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "test", "--so-pin", "12345678", "--pin", "1234")
	cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+conf)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = cmd.Env
	if out, err := again.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// session logs in to the token.
func session(t *testing.T) (*cryptoki.Module, cryptoki.Slot, *cryptoki.Session) {
	t.Helper()
	m, err := cryptoki.Open(module)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	all, err := m.Tokens()
	if err != nil {
		t.Fatal(err)
	}
	for _, tok := range all {
		if tok.Label == "test" {
			s, err := m.Open(tok.Slot)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Login([]byte("1234")); err != nil {
				t.Fatal(err)
			}
			return m, tok.Slot, s
		}
	}
	t.Fatalf("no token in %v", all)
	return nil, 0, nil
}

// TestUsage checks that a key wraps only by the functions that its attributes permit.
func TestUsage(t *testing.T) {
	if !withToken(t) {
		return
	}
	m, slot, s := session(t)
	data := bytes.Repeat([]byte("12345678"), 4)
	for _, x := range []struct {
		encrypt, decrypt, wrap, unwrap bool
		want                           string // the method, or the class of the fault
		back                           string // the class of the fault of unwrap; "" if it succeeds
	}{
		{true, true, true, true, aesPad, ""},
		{true, true, false, false, aesGCM, ""},
		{false, false, true, true, aesPad, ""},
		{true, false, false, false, aesGCM, classDenied},
		{true, true, true, false, aesGCM, ""}, // a method is used only if the token can also unwrap
		{false, false, false, false, classDenied, ""},
		{false, true, false, true, classDenied, ""},
	} {
		o, err := s.Create(cryptoki.Number(cryptoki.Class, cryptoki.SecretKey), cryptoki.Number(cryptoki.KeyType, cryptoki.AES), cryptoki.Text(cryptoki.Value, make([]byte, 32)),
			cryptoki.Bool(cryptoki.OnToken, false), cryptoki.Bool(cryptoki.Encrypt, x.encrypt), cryptoki.Bool(cryptoki.Decrypt, x.decrypt), cryptoki.Bool(cryptoki.Wrap, x.wrap), cryptoki.Bool(cryptoki.Unwrap, x.unwrap))
		if err != nil {
			t.Fatal(err)
		}
		k := &key{m: m, slot: slot, s: s, object: o, kind: "secret-key"}
		name, wrapped, err := k.wrap(data)
		var f *fault
		if errors.As(err, &f) {
			name = f.Class
		}
		if name != x.want || err != nil && f == nil {
			t.Errorf("%+v: %s, %v", x, name, err)
			continue
		}
		if err != nil {
			continue
		}
		back, err := k.unwrap(name, wrapped)
		switch {
		case x.back == "" && (err != nil || !bytes.Equal(back, data)):
			t.Errorf("%+v: back %x, %v", x, back, err)
		case x.back != "" && (!errors.As(err, &f) || f.Class != x.back):
			t.Errorf("%+v: back %x, %v", x, back, err)
		}
	}
	if _, err := s.Find(1, cryptoki.Number(cryptoki.Class, 0xffff)); err != nil {
		t.Error(err)
	}
}

// faultClass returns the class in the answer for an error.
func faultClass(err error) string {
	if f := new(fault); errors.As(err, &f) {
		return f.Class
	}
	return classOf(err)
}
