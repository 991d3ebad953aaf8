package vhd_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/faultfs"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/vhd"
)

// TestWriter checks the contract of writers with Create.
func TestWriter(t *testing.T) {
	key := []byte("0123456789abcdef0123456789ABCDEF")
	for name, o := range map[string]vhd.CreateOptions{
		"dynamic":        {BlockSize: 8 << 10},
		"dynamic, 2 MiB": {},
		"encrypted":      {Key: key},
		"fixed":          {Type: vhd.Fixed},
	} {
		for _, o.Jobs = range []int{1, 4} {
			w := imagetest.Writer{Unit: 512, Last: true}
			if o.Type == vhd.Fixed {
				w.Unit = 1 << 20
			}
			w.Create = func(ctx context.Context, dst *faultfs.File, src image.Source) (int64, error) {
				r, err := vhd.Create(ctx, dst, src, o)
				if err != nil {
					return 0, err
				}
				return r.FileSize, nil
			}
			w.Open = func(r io.ReaderAt, size int64) (image.Source, error) {
				d, err := vhd.Open(context.Background(), r, size, vhd.Options{Key: o.Key})
				return d, err
			}
			w.Size = func(src image.Source) (int64, error) {
				return vhd.CreateSize(src.Size(), imagetest.Used(src, cmp.Or(o.BlockSize, 2<<20)), o)
			}
			t.Run(fmt.Sprintf("%s, %d workers", name, o.Jobs), func(t *testing.T) { imagetest.Writes(t, w) })
		}
	}
}
