package qcow_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/faultfs"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/qcow"
)

// TestWriter checks the contract of writers with Create.
func TestWriter(t *testing.T) {
	for name, o := range map[string]qcow.CreateOptions{
		"plain":        {},
		"plain, 4 KiB": {ClusterSize: 4096},
		"zlib, 4 KiB":  {ClusterSize: 4096, Compression: "zlib"},
		"zstd":         {Compression: "zstd"},
		"luks":         {Passphrase: []byte(createKey), LUKS: cheap},
	} {
		for _, o.Jobs = range []int{1, 3} {
			w := imagetest.Writer{Unit: 512, Last: true, Detect: qcow.Detect}
			w.Create = func(ctx context.Context, dst *faultfs.File, src image.Source) (int64, error) {
				r, err := qcow.Create(ctx, dst, src, o)
				if err != nil {
					return 0, err
				}
				return r.FileSize, nil
			}
			w.Open = func(r io.ReaderAt, size int64) (image.Source, error) {
				d, err := qcow.Open(context.Background(), r, size, qcow.Options{Key: o.Passphrase})
				return d, err
			}
			if o.Compression == "" {
				w.Size = func(src image.Source) (int64, error) {
					return qcow.CreateSize(src.Size(), imagetest.Used(src, cmp.Or(o.ClusterSize, 64<<10)), o)
				}
			}
			t.Run(fmt.Sprintf("%s, %d workers", name, o.Jobs), func(t *testing.T) { imagetest.Writes(t, w) })
		}
	}
}
