package luksimg_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/faultfs"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/luks"
)

// TestWriters runs the common checks of writers for Encrypt and Decrypt.
func TestWriters(t *testing.T) {
	key := bytes.Repeat([]byte("0123456789abcdeF"), 4)[:32]
	key[31] = 'x' // the halves of a key must differ
	kdf := luks.KDF{Iterations: 1000}
	for _, o := range []luksimg.EncryptOptions{
		{Format: luksimg.LUKS1, LUKS: luks.Options{KDF: kdf}},
		{Format: luksimg.LUKS2, LUKS: luks.Options{KDF: luks.KDF{Type: "pbkdf2", Iterations: 1000}, DataOffset: 1 << 20}},
		{Format: luksimg.VHD},
		{Format: luksimg.QCOW2, LUKS: luks.Options{KDF: kdf}},
	} {
		w := imagetest.Writer{Unit: 512, Last: o.Format == luksimg.VHD || o.Format == luksimg.QCOW2}
		w.Create = func(ctx context.Context, dst *faultfs.File, src image.Source) (int64, error) {
			r, err := luksimg.Encrypt(ctx, dst, src, key, o)
			if err != nil {
				return 0, err
			}
			return r.FileSize, nil
		}
		w.Open = func(r io.ReaderAt, size int64) (image.Source, error) {
			img, err := luksimg.OpenImage(context.Background(), r, size, luksimg.ImageOptions{Format: o.Format, Key: key})
			return img, err
		}
		w.Size = func(src image.Source) (int64, error) {
			s, err := luksimg.Measure(context.Background(), src, o)
			return s.File, err
		}
		t.Run(fmt.Sprint("Encrypt/", o.Format), func(t *testing.T) { imagetest.Writes(t, w) })
	}
	for _, o := range []luksimg.DecryptOptions{{Format: luksimg.Raw}, {Format: luksimg.VHD}, {Format: luksimg.VHD, Fixed: true}, {Format: luksimg.VHDX, BlockSize: 1 << 20}, {Format: luksimg.VMDK}, {Format: luksimg.QCOW2}} {
		w := imagetest.Writer{Unit: 512, Last: o.Format != luksimg.Raw}
		switch {
		case o.Format == luksimg.Raw:
			w.Unit = 1
		case o.Fixed:
			w.Unit = 1 << 20
		case o.Format == luksimg.VMDK, o.Format == luksimg.VHDX:
			w.Least = 1
		}
		w.Create = func(ctx context.Context, dst *faultfs.File, src image.Source) (int64, error) {
			r, err := luksimg.Decrypt(ctx, dst, src, o)
			if err != nil {
				return 0, err
			}
			return r.FileSize, nil
		}
		w.Open = func(r io.ReaderAt, size int64) (image.Source, error) {
			img, err := luksimg.OpenImage(context.Background(), r, size, luksimg.ImageOptions{Format: o.Format})
			return img, err
		}
		t.Run(fmt.Sprint("Decrypt/", o.Format, o.Fixed), func(t *testing.T) { imagetest.Writes(t, w) })
	}
}
