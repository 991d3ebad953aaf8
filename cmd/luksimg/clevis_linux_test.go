package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/internal/memscan"
	"github.com/luksimg/luksimg/internal/need"
)

// fastKDF are flags for a key slot that opens fast.
var fastKDF = []string{"--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"}

// TestTangTerminal checks that a person can confirm the keys of a Tang server, and that an image alone never makes
// luksimg contact a server.
func TestTangTerminal(t *testing.T) {
	server := need.NewTang(t)
	luksimg, dir := command(t), t.TempDir()
	noise(t, filepath.Join(dir, "disk"), 1<<20)
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(code int, args ...string) string {
		t.Helper()
		c := exec.Command("setsid", append([]string{"--wait", luksimg}, args...)...) // without a terminal
		c.Dir = dir
		out, _ := c.CombinedOutput()
		if got := c.ProcessState.ExitCode(); got != code {
			t.Fatalf("%q: exit code %d, want %d\n%s", args, got, code, out)
		}
		return string(out)
	}
	run(exit.Done, append([]string{"encrypt", "--key-file", "key", "disk", "image"}, fastKDF...)...)
	add := []string{"key", "add", "--key-file", "key", "--tang", server.URL, "image"}
	if out := run(exit.Failure, add...); !strings.Contains(out, "are not confirmed") || !strings.Contains(out, "--thp") {
		t.Errorf("without a terminal: %s", out)
	}
	for _, c := range []struct {
		answer string
		code   int
	}{{"n", exit.Failure}, {"", exit.Failure}, {"y", exit.Done}} {
		s := start(t, dir, luksimg, add...)
		s.expect("Do you trust it? [y/N] ")
		if !strings.Contains(s.text(), server.Thumbprint("S256")) || !strings.Contains(s.text(), server.URL) {
			t.Errorf("the prompt does not show the thumbprint: %s", s.text())
		}
		s.enter(c.answer + "\n")
		if code := s.code(); code != c.code {
			t.Errorf("%q: exit code %d: %s", c.answer, code, s.text())
		}
	}
	if out := run(exit.Done, "token", "list", "image"); strings.Count(out, "token ") != 1 || !strings.Contains(out, server.URL) {
		t.Errorf("tokens: %s", out)
	}
	if out := run(exit.Done, "key", "test", "--clevis", "image"); !strings.Contains(out, "opens key slot 1") || !strings.Contains(out, "clevis token 0: tang "+server.URL) {
		t.Errorf("%s", out)
	}
	if out := run(exit.Failure, "key", "test", "--clevis", "--key-slot", "0", "image"); !strings.Contains(out, "no clevis token") {
		t.Errorf("%s", out)
	}
	run(exit.Failure, "key", "test", "--clevis", "--key-file", "key", "image")
	// Without the flag luksimg has no key and cannot ask.
	if out := run(exit.Failure, "key", "test", "image"); !strings.Contains(out, "no key was given") {
		t.Errorf("%s", out)
	}
	server.Rotate()
	run(exit.Done, "verify", "--clevis", "disk", "image")
	if out := run(exit.Done, append([]string{"key", "change", "--clevis", "--generate-key", "new", "image"}, fastKDF...)...); !strings.Contains(out, `warning: token 0, "clevis", is for the previous key of key slot 1`) {
		t.Errorf("%s", out)
	}
	if out := run(exit.WrongKey, "key", "test", "--clevis", "image"); !strings.Contains(out, "hint: the token belongs to another key slot, or its key slot has a new key") {
		t.Errorf("a key slot that was changed: %s", out)
	}
	server.Forget()
	if out := run(exit.Refused, "key", "test", "--clevis", "image"); !strings.Contains(out, "hint: the exchange key of the binding was removed from the server") {
		t.Errorf("a key that is gone: %s", out)
	}
	if out := run(exit.Refused, append(add, "--thp", "AAAA")...); !strings.Contains(out, "hint: no signing key of the server has this thumbprint") {
		t.Errorf("another thumbprint: %s", out)
	}
	server.Stop()
	if out := run(exit.Failure, "key", "test", "--clevis", "image"); !strings.Contains(out, "hint: check that the server runs") {
		t.Errorf("a server that is down: %s", out)
	}
}

// TestClevisMemory searches the process's memory for keys of bindings and recovery keys.
func TestClevisMemory(t *testing.T) {
	need.Program(t, "clevis")
	server := need.NewTang(t)
	s, dir := newScanner(t), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	noise(t, at("disk"), 1<<20)
	key := newSecretFile(t, at("key"), 32, true)
	volume := newSecretFile(t, at("volume"), 64, false)
	secrets := []memscan.Needle{key.needle, volume.needle}
	encrypt := append([]string{"encrypt", "-q", "--key-file", key.name, "--volume-key-file", volume.name}, fastKDF...)
	s.run(secrets, append(encrypt, at("disk"), at("image"))...)

	// A key in a binding of clevis.
	bind := exec.Command("sh", "-c", `jwe=$(clevis encrypt tang '{"url":"`+server.URL+`"}' -y <key) && echo "$jwe" | jose jwe fmt -i- | sed 's/^/{"type":"clevis","keyslots":["0"],"jwe":/; s/$/}/' >token`)
	bind.Dir = dir
	if out, err := bind.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.run(secrets, "token", "add", "-q", "--json-file", at("token"), at("image"))
	s.run(secrets, "decrypt", "-q", "--clevis", at("image"), at("plain"))
	s.run(secrets, "key", "test", "-q", "--clevis", at("image"))

	// A key in a binding of luksimg, which clevis prints afterwards, and a recovery key.
	s.run(secrets, "key", "add", "-q", "--key-file", key.name, "--tang", server.URL, "--thp", server.Thumbprint("S256"), at("image"))
	pass := exec.Command("sh", "-c", "clevis luks pass -d image -s 1 >made")
	pass.Dir = dir
	if out, err := pass.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.run(secrets, "key", "add", "-q", "--key-file", key.name, "--recovery-file", at("recovery"), at("image"))
	for _, name := range []string{"made", "recovery"} {
		made := needleOf(t, at(name))
		if found, err := memscan.Count(made); err != nil || found[0] != 0 {
			t.Errorf("%s: %v, %v", name, found, err)
		}
		s.run(append(secrets, made), "key", "test", "-q", "--passphrase-file", at(name), at("image"))
	}
}
