package vault_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/vault"
)

const root = "root-token-of-the-test"

// fast retries without waiting.
var fast = vault.Retry{Attempts: 2, Base: time.Millisecond, Max: time.Millisecond}

// server is Vault with the transit engine at transit and at team/a, and keys in it.
type server struct {
	t       *testing.T
	address string
}

func start(t *testing.T) *server {
	s := &server{t, need.Vault(t, root)}
	for _, mount := range []string{"transit", "team/a"} {
		s.admin("POST", "sys/mounts/"+mount, `{"type":"transit"}`)
	}
	s.admin("POST", "transit/keys/images", `{}`)
	s.admin("POST", "team/a/keys/images", `{}`)
	return s
}

// admin sends a request with the root token.
func (s *server) admin(method, path, body string) map[string]any {
	s.t.Helper()
	req, err := http.NewRequest(method, s.address+"/v1/"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", root)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, text)
	}
	var out map[string]any
	json.Unmarshal(text, &out)
	return out
}

// token creates a token with a policy.
func (s *server) token(policy string) string {
	s.t.Helper()
	text, _ := json.Marshal(map[string]string{"policy": policy})
	s.admin("PUT", "sys/policies/acl/test", string(text))
	out := s.admin("POST", "auth/token/create", `{"policies":["test"]}`)
	return out["auth"].(map[string]any)["client_token"].(string)
}

func (s *server) client(key, token string) *vault.Client {
	s.t.Helper()
	c, err := vault.New(vault.Options{Address: s.address, Key: key, Token: []byte(token), Retry: fast})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

var plaintext = []byte("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")

func TestVault(t *testing.T) {
	s := start(t)
	for _, key := range []string{"transit/images", "team/a/images"} {
		c := s.client(key, root)
		wdek, err := c.Wrap(t.Context(), plaintext)
		if err != nil || !strings.HasPrefix(wdek, "vault:v1:") {
			t.Fatalf("%s: %q, %v", key, wdek, err)
		}
		back, err := c.Unwrap(t.Context(), wdek)
		if err != nil || !bytes.Equal(back.Plaintext, plaintext) || back.Rewrapped != "" {
			t.Fatalf("%s: %v, %v", key, back, err)
		}
		// Vault itself returns the same bytes of the key.
		mount, name := key[:strings.LastIndexByte(key, '/')], "images"
		out := s.admin("POST", mount+"/decrypt/"+name, `{"ciphertext":"`+wdek+`"}`)
		if got := out["data"].(map[string]any)["plaintext"]; got != string(plaintext) {
			t.Errorf("%s: Vault decrypts %v", key, got)
		}

		// A rotated key unwraps old wrapped keys until the old version is disallowed.
		if err := c.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		renewed, err := c.Rewrap(t.Context(), wdek)
		if err != nil || !strings.HasPrefix(renewed, "vault:v2:") {
			t.Fatalf("%s: %q, %v", key, renewed, err)
		}
		s.admin("POST", mount+"/keys/"+name+"/config", `{"min_decryption_version":2}`)
		if _, err := c.Unwrap(t.Context(), wdek); !errors.Is(err, wrap.ErrKeyState) || !rest.Refused(err) {
			t.Errorf("%s: an old version: %v", key, err)
		}
		if back, err := c.Unwrap(t.Context(), renewed); err != nil || !bytes.Equal(back.Plaintext, plaintext) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestErrors(t *testing.T) {
	s := start(t)
	c := s.client("transit/images", root)
	wdek, err := c.Wrap(t.Context(), plaintext)
	if err != nil {
		t.Fatal(err)
	}
	s.admin("POST", "transit/keys/other", `{}`)
	s.admin("POST", "transit/keys/signs", `{"type":"ed25519"}`)
	s.admin("POST", "transit/keys/derived", `{"derived":true}`)
	onlyWraps := s.token(`path "transit/encrypt/images" { capabilities = ["update"] }`)
	flip := []byte(wdek)
	flip[len(flip)-10] ^= 1
	wrapped := func(key, token string) error {
		_, err := s.client(key, token).Wrap(t.Context(), plaintext)
		return err
	}
	unwrapped := func(key, token, wdek string) error {
		_, err := s.client(key, token).Unwrap(t.Context(), wdek)
		return err
	}
	for _, c := range []struct {
		name string
		err  error
		want error
	}{
		{"no such key", wrapped("transit/absent", root), wrap.ErrNotFound},
		{"no such mount", wrapped("absent/images", root), wrap.ErrNotFound},
		{"unwrap, no such key", unwrapped("transit/absent", root, wdek), wrap.ErrNotFound},
		{"a key that signs", wrapped("transit/signs", root), wrap.ErrKeyState},
		{"a derived key", wrapped("transit/derived", root), wrap.ErrKeyState},
		{"another key", unwrapped("transit/other", root, wdek), wrap.ErrWDEK},
		{"damaged", unwrapped("transit/images", root, string(flip)), wrap.ErrWDEK},
		{"another token", wrapped("transit/images", "wrong"), wrap.ErrAuth},
		{"it may not unwrap", unwrapped("transit/images", onlyWraps, wdek), wrap.ErrDenied},
		{"it may not wrap there", wrapped("transit/other", onlyWraps), wrap.ErrDenied},
	} {
		if !errors.Is(c.err, c.want) || !rest.Refused(c.err) || rest.Temporary(c.err) || rest.Hint(c.err) == "" {
			t.Errorf("%s: %v, refused %v, hint %q; want %v", c.name, c.err, rest.Refused(c.err), rest.Hint(c.err), c.want)
		}
		if c.err != nil && (strings.Contains(c.err.Error(), root) || strings.Contains(c.err.Error(), string(plaintext))) {
			t.Errorf("%s: a secret in %v", c.name, c.err)
		}
	}
	if err := wrapped("transit/images", onlyWraps); err != nil {
		t.Errorf("a token that may only wrap: %v", err)
	}
	if keys := s.admin("LIST", "transit/keys", ""); strings.Contains(fmt.Sprint(keys), "absent") {
		t.Error("a key was created")
	}

	// A sealed server refuses all requests, without long retries.
	s.admin("PUT", "sys/seal", "")
	if _, err := c.Unwrap(t.Context(), wdek); !errors.Is(err, wrap.ErrUnavailable) || rest.Refused(err) || !strings.Contains(rest.Hint(err), "unseal") {
		t.Errorf("sealed: %v, hint %q", err, rest.Hint(err))
	}
}

// TestNoVault checks errors without a server, and invalid responses.
func TestNoVault(t *testing.T) {
	var answer func(w http.ResponseWriter)
	asked := 0
	fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked++; answer(w) }))
	c, err := vault.New(vault.Options{Address: fake.URL, Key: "transit/images", Token: []byte(root), Retry: fast})
	if err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]func(w http.ResponseWriter){
		"no JSON":       func(w http.ResponseWriter) { io.WriteString(w, "<html>") },
		"nothing":       func(w http.ResponseWriter) {},
		"no data":       func(w http.ResponseWriter) { io.WriteString(w, `{}`) },
		"a number":      func(w http.ResponseWriter) { io.WriteString(w, `{"data":{"ciphertext":1,"plaintext":1}}`) },
		"no ciphertext": func(w http.ResponseWriter) { io.WriteString(w, `{"data":{"ciphertext":"x y","plaintext":"x y"}}`) },
		"down":          func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
		"too many":      func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) },
		"elsewhere":     func(w http.ResponseWriter) { w.Header().Set("Location", "http://127.0.0.1:1/"); w.WriteHeader(307) },
	} {
		answer = a
		_, err := c.Wrap(t.Context(), plaintext)
		_, err2 := c.Unwrap(t.Context(), "vault:v1:AAAA")
		_, err3 := c.Rewrap(t.Context(), "vault:v1:AAAA")
		for _, err := range []error{err, err2, err3} {
			if !errors.As(err, new(*vault.Error)) || !errors.Is(err, wrap.ErrUnavailable) && name != "elsewhere" || rest.Hint(err) == "" && name != "elsewhere" {
				t.Errorf("%s: %v, hint %q", name, err, rest.Hint(err))
			}
		}
	}
	fake.Close()
	asked = 0
	if _, err := c.Wrap(t.Context(), plaintext); !errors.Is(err, wrap.ErrUnavailable) || rest.Refused(err) || !rest.Temporary(err) {
		t.Errorf("no server: %v", err)
	}
	if _, err := c.Wrap(t.Context(), []byte("a\nb")); !errors.Is(err, wrap.ErrKey) {
		t.Errorf("not base64: %v", err)
	}
	for _, wdek := range []string{"", "x", "vault:v0:AAAA", `vault:v1:AA"AA`, "vault:v1:" + strings.Repeat("A", 20<<10)} {
		if _, err := c.Unwrap(t.Context(), wdek); !errors.Is(err, wrap.ErrWDEK) {
			t.Errorf("%.20q: %v", wdek, err)
		}
	}
	if asked != 0 {
		t.Error("a request was sent")
	}
	if s := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(s, root) {
		t.Errorf("the token is in %s", s)
	}
	for name, o := range map[string]vault.Options{
		"no token":  {Address: "https://x", Key: "a/b"},
		"bad token": {Address: "https://x", Key: "a/b", Token: []byte("a b")},
		"no TLS":    {Address: "http://vault.example", Key: "a/b", Token: []byte("x")},
		"no URL":    {Address: "", Key: "a/b", Token: []byte("x")},
		"no key":    {Address: "https://x", Key: "b", Token: []byte("x")},
	} {
		if _, err := vault.New(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
