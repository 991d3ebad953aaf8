//go:build linux

package interop_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/luksimg/luksimg/internal/interop"
	"github.com/luksimg/luksimg/internal/need"
)

// TestTPM2TokensKept checks that the TPM2 bindings of systemd-cryptenroll and clevis still open after
// every change that luksimg makes to keys and headers.
func TestTPM2TokensKept(t *testing.T) {
	interop.Need(t, "systemd-cryptenroll", "clevis-encrypt-tpm2", "clevis-luks-bind", "cryptsetup", "mke2fs")
	tpm := need.TPM(t)
	t.Setenv("TPM2TOOLS_TCTI", tpm)
	disk, dir := interop.WholeDisk(t), t.TempDir()
	image, first, second := filepath.Join(dir, "image"), interop.KeyFile(t, "first"), interop.KeyFile(t, "second")
	fast := []string{"--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"}
	encrypt(t, disk.Path, image, first, append([]string{"--format", "luks2"}, fast...)...)
	interop.Must(t, "systemd-cryptenroll", "--unlock-key-file="+first, "--tpm2-device="+tpm, "--tpm2-pcrs=7+11", image) // slot 1
	need.Run(t, "", "clevis", "luks", "bind", "-y", "-k", first, "-d", image, "tpm2", "{}")                             // slot 2
	tokens := func() []string {
		return []string{mustOut(t, "token", "export", "--token-id", "0", image), mustOut(t, "token", "export", "--token-id", "1", image)}
	}
	want := tokens()
	list := mustOut(t, "token", "list", image)
	assert.Contains(t, list, "sealed to the TPM2 of one machine, PCRs 7+11 of sha256")
	assert.Equal(t, 2, strings.Count(list, "sealed to the TPM2"), list)

	backup := filepath.Join(dir, "backup")
	for _, args := range [][]string{
		append([]string{"key", "add", "--key-file", first, "--new-key-file", second, image}, fast...), // slot 3
		append([]string{"key", "change", "--key-file", first, "--new-key-file", interop.KeyFile(t, "third"), image}, fast...),
		append([]string{"key", "convert", "--key-file", second, image}, fast...),
		{"key", "add", "--key-file", second, "--recovery-file", filepath.Join(dir, "recovery"), image},
		{"header", "backup", image, backup},
		{"key", "remove", "--key-file", second, image},
		{"header", "restore", image, backup},
		{"header", "repair", image},
		{"key", "kill", image, "0"},
	} {
		mustLuksimg(t, args...)
		require.Equal(t, want, tokens(), "%q", args)
	}
	interop.CheckHeaders(t, image)
	clevisOpens(t, image, 2)
	listed := strings.Fields(interop.Must(t, "systemd-cryptenroll", image).Stdout)
	assert.Contains(t, strings.Join(listed, " "), "1 tpm2")
	assert.Contains(t, luksimg(t, "key", "test", "--clevis", image).Stderr, "the pin tpm2 needs its hardware")
}

// mustOut runs luksimg, requires that it succeeds, and returns its output.
func mustOut(t *testing.T, args ...string) string {
	t.Helper()
	r := luksimg(t, args...)
	require.Equal(t, luksimgOK, r.Code, r.Stderr)
	return r.Stdout
}
