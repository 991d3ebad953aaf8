package main

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
)

// quickLUKS are arguments of encrypt for an image that is made and opened fast.
var quickLUKS = []string{"-q", "--format", "luks1", "--pbkdf-force-iterations", "1000"}

// runIn runs the command in this process.
func runIn(ctx context.Context, args ...string) (code int, output string) {
	var out bytes.Buffer
	code = run(ctx, args, &out, &out)
	return code, out.String()
}

// encryptedDisk makes a key, a disk and its image in a folder.
func encryptedDisk(t *testing.T, dir string) (key, disk, image string) {
	t.Helper()
	key, disk, image = filepath.Join(dir, "key"), filepath.Join(dir, "disk.raw"), filepath.Join(dir, "disk.luks")
	noise(t, disk, 20480)
	for _, args := range [][]string{{"keygen", key}, slices.Concat([]string{"encrypt", "--key-file", key}, quickLUKS, []string{disk, image})} {
		if code, out := runIn(t.Context(), args...); code != exit.Done {
			t.Fatal(out)
		}
	}
	return key, disk, image
}
