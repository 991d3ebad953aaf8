package interop_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/luksimg/luksimg/internal/interop"
)

// buildDir holds the command once it is built. TestMain removes it.
var buildDir string

// build builds the command on the first call.
var build = sync.OnceValues(func() (string, error) {
	var err error
	if buildDir, err = os.MkdirTemp("", "luksimg-interop-"); err != nil {
		return "", err
	}
	path := filepath.Join(buildDir, "luksimg")
	out, err := exec.Command("go", "build", "-o", path, "github.com/luksimg/luksimg/cmd/luksimg").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// These are exit statuses of luksimg.
const (
	luksimgOK              = 0
	luksimgFailed          = 1
	luksimgMismatch        = 3
	luksimgWrongPassphrase = 12
)

// luksimg runs the command without a terminal.
func luksimg(t *testing.T, args ...string) interop.Result {
	t.Helper()
	path, err := build()
	require.NoError(t, err)
	return interop.Run(t, path, args...)
}

// mustLuksimg runs luksimg and fails the test unless it succeeds.
func mustLuksimg(t *testing.T, args ...string) {
	t.Helper()
	r := luksimg(t, args...)
	require.Equal(t, luksimgOK, r.Code, r)
}
