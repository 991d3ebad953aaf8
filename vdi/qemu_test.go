package vdi

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
)

// TestQEMU reads images that QEMU writes and compares the result with QEMU's own reads.
func TestQEMU(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	for _, static := range []string{"off", "on"} {
		for _, size := range []int64{0, 512, mib, 3*mib + 512, 9 * mib} {
			t.Run(fmt.Sprintf("static=%s %d", static, size), func(t *testing.T) {
				dir := t.TempDir()
				need.Run(t, dir, "qemu-img", "create", "-q", "-f", "vdi", "-o", "static="+static, "disk", fmt.Sprint(size))
				rnd := rand.New(rand.NewPCG(uint64(size), 5))
				args := []string{"-f", "vdi"}
				for range 5 {
					if size > 4096 {
						off := rnd.Int64N(size-4096) &^ 511
						args = append(args, "-c", fmt.Sprintf("write -q -P %d %d %d", 1+rnd.IntN(255), off, 512+rnd.Int64N(min(size-off, 300_000)-511)&^511))
					}
				}
				need.Run(t, dir, "qemu-io", append(args, "disk")...)
				need.Run(t, dir, "qemu-img", "convert", "-f", "vdi", "-O", "raw", "disk", "raw")
				want, err := os.ReadFile(filepath.Join(dir, "raw"))
				if err != nil {
					t.Fatal(err)
				}
				raw, err := imagetest.File(t, dir, "disk")
				if err != nil {
					t.Fatal(err)
				}
				d, err := Open(context.Background(), raw, raw.Size(), Options{})
				if err != nil {
					t.Fatal(err)
				}
				imagetest.Source(t, d, want)
				i, err := d.Info(context.Background())
				if err != nil || len(i.Warnings) != 0 || (i.Type == "fixed") != (static == "on") {
					t.Errorf("%+v, %v", i, err)
				}
				if c, err := d.Check(context.Background()); err != nil || c.Corruptions != 0 {
					t.Errorf("%+v, %v", c, err)
				}
			})
		}
	}
}
