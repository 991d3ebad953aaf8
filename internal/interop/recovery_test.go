//go:build linux

package interop_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/luksimg/luksimg/internal/interop"
)

// TestRecoveryKeys checks that luksimg opens an image with a recovery key of systemd-cryptenroll, and
// vice versa.
func TestRecoveryKeys(t *testing.T) {
	t.Parallel()
	interop.Need(t, "systemd-cryptenroll", "cryptsetup", "mke2fs")
	disk := interop.WholeDisk(t)
	dir := t.TempDir()
	image := filepath.Join(dir, "image")
	first := interop.KeyFile(t, "first")
	encrypt(t, disk.Path, image, first, "--format", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")

	theirs := strings.TrimSpace(interop.Must(t, "systemd-cryptenroll", "--unlock-key-file="+first, "--recovery-key", image).Stdout)
	for _, typed := range []string{theirs, strings.ReplaceAll(theirs, "-", ""), strings.ToUpper(theirs), strings.ToUpper(strings.ReplaceAll(theirs, "-", ""))} {
		r := luksimg(t, "key", "test", "--key-file", interop.KeyFile(t, typed), image)
		assert.Contains(t, r.Stdout, "opens key slot 1", typed)
	}

	file := filepath.Join(dir, "recovery")
	mustLuksimg(t, "key", "add", "--key-file", first, "--recovery-file", file, image)
	interop.CheckHeaders(t, image)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	ours := strings.TrimSpace(string(text))
	assert.Len(t, ours, len(theirs))
	assert.Equal(t, interop.CryptsetupOK, interop.TestPassphrase(t, image, interop.KeyFile(t, ours), "luks2"))
	list := strings.Fields(interop.Must(t, "systemd-cryptenroll", image).Stdout)
	assert.Equal(t, []string{"SLOT", "TYPE", "0", "password", "1", "recovery", "2", "recovery"}, list)
	dump := func() string {
		_, tokens, _ := strings.Cut(interop.LUKSDump(t, image), "Tokens:")
		return tokens
	}
	assert.Equal(t, 2, strings.Count(dump(), "systemd-recovery"), dump())

	// Each program removes the key of the other.
	interop.Must(t, "systemd-cryptenroll", "--unlock-key-file="+first, "--wipe-slot=2", image)
	assert.Equal(t, 1, strings.Count(dump(), "systemd-recovery"), dump())
	assert.Equal(t, luksimgWrongPassphrase, luksimg(t, "key", "test", "--passphrase-file", file, image).Code)
	mustLuksimg(t, "key", "remove", "--key-file", interop.KeyFile(t, theirs), image)
	assert.Equal(t, []string{"SLOT", "TYPE", "0", "password"}, strings.Fields(interop.Must(t, "systemd-cryptenroll", image).Stdout))
}
