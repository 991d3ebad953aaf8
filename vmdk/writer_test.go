package vmdk_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/faultfs"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/vmdk"
)

// TestWriter runs the tests of all writers on Create and CreateInOrder.
func TestWriter(t *testing.T) {
	for _, inOrder := range []bool{false, true} {
		for _, jobs := range []int{1, 4} {
			// CreateInOrder writes the header first.
			w := imagetest.Writer{Unit: 512, Least: 1, Last: !inOrder}
			if !inOrder {
				w.Detect = vmdk.Detect
			}
			w.Create = func(ctx context.Context, dst *faultfs.File, src image.Source) (int64, error) {
				var r *vmdk.CreateResult
				var err error
				if inOrder {
					if r, err = vmdk.CreateInOrder(ctx, io.NewOffsetWriter(dst, 0), src, vmdk.CreateOptions{Jobs: jobs}); err == nil {
						err = dst.Sync()
					}
				} else {
					r, err = vmdk.Create(ctx, dst, src, vmdk.CreateOptions{Jobs: jobs})
				}
				if err != nil {
					return 0, err
				}
				return r.FileSize, nil
			}
			w.Open = func(r io.ReaderAt, size int64) (image.Source, error) {
				d, err := vmdk.Open(context.Background(), r, size, vmdk.Options{})
				return d, err
			}
			t.Run(fmt.Sprintf("in order %t, %d workers", inOrder, jobs), func(t *testing.T) { imagetest.Writes(t, w) })
		}
	}
}
