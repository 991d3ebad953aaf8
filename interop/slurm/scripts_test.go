package slurm

import (
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
)

// TestShellcheck has shellcheck look at the scripts of the example.
func TestShellcheck(t *testing.T) {
	names, err := filepath.Glob("../../examples/slurm/*")
	if err != nil || len(names) != 3 {
		t.Fatalf("scripts: %q, %v", names, err)
	}
	need.Run(t, "", "shellcheck", names...)
}
