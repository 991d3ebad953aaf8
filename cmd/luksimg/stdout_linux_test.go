package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
)

// TestStandardOutputFails writes keys, headers and images to a closed standard output, and results to a full one.
// Each must be an error, even for a help text.
func TestStandardOutputFails(t *testing.T) {
	luksimg, dir := command(t), t.TempDir()
	key, disk, image := encryptedDisk(t, dir)
	envelope, root := filepath.Join(dir, "envelope"), "local:"+filepath.Join(dir, "root")
	for _, args := range [][]string{{"keygen", "--kms", root}, {"wrap", "--kms", root, "--key-file", key, "--envelope", envelope}} {
		if code, out := runIn(t.Context(), args...); code != exit.Done {
			t.Fatal(out)
		}
	}
	token := filepath.Join(dir, "token.json")
	if err := os.WriteFile(token, []byte(`{"type":"x","keyslots":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	luks2 := filepath.Join(dir, "luks2")
	if code, out := runIn(t.Context(), append(slices.Concat([]string{"encrypt", "--key-file", key}, quickLUKS), "--format", "luks2", disk, luks2)...); code != exit.Done {
		t.Fatal(out)
	}
	if code, out := runIn(t.Context(), "token", "add", "--token-id", "0", "--json-file", token, luks2); code != exit.Done {
		t.Fatal(out)
	}
	sh := func(redirect string, args []string) (int, string) {
		c := exec.Command("sh", append([]string{"-c", `exec "$0" "$@" ` + redirect, luksimg}, args...)...)
		c.Dir = dir
		out, err := c.CombinedOutput()
		if e := new(exec.ExitError); err != nil && !errors.As(err, &e) {
			t.Fatal(err)
		}
		return c.ProcessState.ExitCode(), string(out)
	}
	data := [][]string{
		{"keygen", "-"},
		{"token", "export", "--token-id", "0", luks2},
		{"check", "--policy", "cloud", "--print"},
		{"unwrap", "-q", "--kms", root, "--envelope", envelope, "-"},
		{"header", "backup", image, "-"},
		{"convert", "-q", disk, "-"},
		{"convert", "-q", "--format", "vmdk", disk, "-"},
		{"cat", "-q", disk},
		{"decrypt", "-q", "--key-file", key, image, "-"},
		append(append([]string{"encrypt", "--key-file", key}, quickLUKS...), disk, "-"),
	}
	for _, args := range data {
		if code, out := sh(">&-", args); code != exit.Failure || !strings.Contains(out, "standard output is closed") {
			t.Errorf("%q, closed: exit code %d, %s", args, code, out)
		}
		if code, out := sh(">/dev/null", args); code != exit.Done {
			t.Errorf("%q, dropped: exit code %d, %s", args, code, out)
		}
	}
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	for _, args := range append(data,
		[]string{"inspect", image}, []string{"--json", "inspect", image}, []string{"key", "list", image}, []string{"version"},
		[]string{"--version"}, []string{"--help"}, []string{"help", "key"}, []string{"key"}, []string{"completion", "bash"},
	) {
		if code, out := sh(">/dev/full", args); code != exit.Failure || !strings.Contains(out, "behind standard output is full") {
			t.Errorf("%q, full: exit code %d, %s", args, code, out)
		}
	}
}
