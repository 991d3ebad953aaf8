//go:build linux

package interop_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/luksimg/luksimg/internal/interop"
	"github.com/luksimg/luksimg/internal/need"
)

// clevisOpens checks that the passphrase that clevis recovers from a token opens the key slot in
// cryptsetup.
func clevisOpens(t *testing.T, image string, slot int) {
	t.Helper()
	pass := need.Run(t, "", "clevis", "luks", "pass", "-d", image, "-s", fmt.Sprint(slot))
	assert.Equal(t, interop.CryptsetupOK, interop.TestPassphrase(t, image, interop.KeyFile(t, pass), "luks2"), "the passphrase from clevis opens the image")
}

// luksimg must open the bindings of clevis and clevis those of luksimg. Each must be able to remove
// bindings of the other, and keep the remaining ones.
func TestClevisBindings(t *testing.T) {
	t.Parallel()
	interop.Need(t, "clevis", "clevis-luks-bind", "jose", "socat", "cryptsetup", "mke2fs")
	a, b := need.NewTang(t), need.NewTang(t)
	disk, dir := interop.WholeDisk(t), t.TempDir()
	image, key := filepath.Join(dir, "image"), interop.KeyFile(t, "first")
	encrypt(t, disk.Path, image, key, "--format", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
	one := fmt.Sprintf(`{"url":%q,"thp":%q}`, a.URL, a.Thumbprint("S256"))
	either := fmt.Sprintf(`{"t":1,"pins":{"tang":[%s,{"url":%q,"thp":%q}]}}`, one, b.URL, b.Thumbprint("S1"))

	need.Run(t, "", "clevis", "luks", "bind", "-y", "-k", key, "-d", image, "tang", one)                 // slot 1
	mustLuksimg(t, "key", "add", "--key-file", key, "--tang", a.URL, "--thp", a.Thumbprint("S1"), image) // slot 2
	mustLuksimg(t, "key", "add", "--clevis", "--sss", either, image)                                     // slot 3, unlocked by slot 1
	interop.CheckHeaders(t, image)
	check := func(slots ...int) {
		t.Helper()
		for _, n := range slots {
			clevisOpens(t, image, n)
			r := luksimg(t, "key", "test", "--clevis", "--key-slot", fmt.Sprint(n), image)
			assert.Contains(t, r.Stdout, fmt.Sprintf("opens key slot %d", n), r.Stderr)
		}
	}
	check(1, 2, 3)
	list := need.Run(t, "", "clevis", "luks", "list", "-d", image)
	assert.Equal(t, 2, strings.Count(list, ": tang "), list)
	assert.Equal(t, 1, strings.Count(list, ": sss "), list)
	mustLuksimg(t, "verify", "--clevis", disk.Path, image)

	// The header has no space for another binding, and must not keep a part of it.
	r := luksimg(t, "key", "add", "--key-file", key, "--sss", either, image)
	assert.Contains(t, r.Stderr, "more than the JSON area has")
	assert.NotContains(t, luksimg(t, "key", "list", image).Stdout, "key slot 4")

	// Each program removes a binding of the other, and clevis reuses the space.
	need.Run(t, "", "clevis", "luks", "unbind", "-f", "-d", image, "-s", "3")
	mustLuksimg(t, "key", "kill", image, "1")
	mustLuksimg(t, "token", "remove", "--token-id", "0", image)
	need.Run(t, "", "clevis", "luks", "bind", "-y", "-k", key, "-d", image, "sss", either) // slot 1
	interop.CheckHeaders(t, image)
	check(1)

	// With one server down, the other shares suffice.
	a.Stop()
	out := filepath.Join(dir, "plain")
	mustLuksimg(t, "decrypt", "--clevis", "--key-slot", "1", image, out)
	plain, err := os.ReadFile(out)
	require.NoError(t, err)
	want, err := os.ReadFile(disk.Path)
	require.NoError(t, err)
	assert.True(t, string(plain) == string(want), "the decrypted data differs from the disk")
}
