package vhdx_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/faultfs"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/vhdx"
)

// TestWriter checks the contract of writers with Create.
func TestWriter(t *testing.T) {
	for name, o := range map[string]vhdx.CreateOptions{
		"default":       {},
		"1 MiB":         {BlockSize: 1 << 20},
		"sectors of 4k": {BlockSize: 2 << 20, SectorSize: 4096},
	} {
		for _, o.Jobs = range []int{1, 4} {
			w := imagetest.Writer{Unit: cmp.Or(o.SectorSize, 512), Least: 1, Last: true, Detect: vhdx.Detect}
			w.Create = func(ctx context.Context, dst *faultfs.File, src image.Source) (int64, error) {
				r, err := vhdx.Create(ctx, dst, src, o)
				if err != nil {
					return 0, err
				}
				return r.FileSize, nil
			}
			w.Open = func(r io.ReaderAt, size int64) (image.Source, error) {
				d, err := vhdx.Open(context.Background(), r, size, vhdx.Options{})
				return d, err
			}
			w.Size = func(src image.Source) (int64, error) {
				return vhdx.CreateSize(src.Size(), imagetest.Used(src, cmp.Or(o.BlockSize, 32<<20)), o)
			}
			t.Run(fmt.Sprintf("%s, %d workers", name, o.Jobs), func(t *testing.T) { imagetest.Writes(t, w) })
		}
	}
}
