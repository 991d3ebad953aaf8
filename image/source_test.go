package image_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// TestSource checks the Source contract on raw files with holes at the start, in the middle and at
// the end, and on empty files.
func TestSource(t *testing.T) {
	for _, size := range []int64{0, 1, 511, 4096, 1 << 20, 3<<20 + 77} {
		want := make([]byte, size)
		f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		rnd := rand.NewChaCha8([32]byte{byte(size)})
		for _, off := range []int64{100_000, 1 << 20, 2<<20 + 1} {
			if n := min(200_000, size-off); n > 0 {
				rnd.Read(want[off:][:n])
				if _, err := f.WriteAt(want[off:][:n], off); err != nil {
					t.Fatal(err)
				}
			}
		}
		src, err := image.NewFile(f)
		if err != nil {
			t.Fatal(err)
		}
		imagetest.Source(t, src, want)
	}
}
