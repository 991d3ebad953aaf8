//go:build linux

package interop_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/luksimg/luksimg/internal/interop"
)

// TestEmptyKey opens images whose key is empty. luksimg makes no such image, but cryptsetup does.
func TestEmptyKey(t *testing.T) {
	t.Parallel()
	interop.Need(t, "cryptsetup")
	for _, version := range []string{"luks1", "luks2"} {
		dir := t.TempDir()
		key, image, disk := interop.KeyFile(t, ""), filepath.Join(dir, "image"), filepath.Join(dir, "disk")
		interop.WriteFile(t, image, nil)
		require.NoError(t, os.Truncate(image, 20<<20))
		interop.Must(t, "cryptsetup", "luksFormat", "-q", "--type", version, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", image, key)
		mustLuksimg(t, "key", "test", "--key-file", key, image)
		mustLuksimg(t, "decrypt", "--key-file", key, image, disk)
		fi, err := os.Stat(disk)
		require.NoError(t, err)
		require.Positive(t, fi.Size(), version)
	}
}
