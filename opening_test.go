package luksimg_test

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/luks"
)

// A watched file counts the reads of the dynamic disk header of a VHD. Each opening reads it once.
type watched struct {
	io.ReaderAt
	headers atomic.Int64
}

func (w *watched) ReadAt(p []byte, off int64) (int, error) {
	const header, length = 512, 1024
	if off == header && len(p) == length {
		w.headers.Add(1)
	}
	return w.ReaderAt.ReadAt(p, off)
}

// TestOpenOnce checks that encrypting opens a VHD once, and that inspecting, checking and reading it
// opens it once. Check reads all metadata once more.
func TestOpenOnce(t *testing.T) {
	ctx := context.Background()
	var f file
	d := newDisk(5 << 20)
	if _, err := luksimg.Decrypt(ctx, &f, d, luksimg.DecryptOptions{Format: luksimg.VHD}); err != nil {
		t.Fatal(err)
	}
	size := int64(len(f.b))

	w := &watched{ReaderAt: bytes.NewReader(f.b)}
	img, err := luksimg.OpenImage(ctx, w, size, luksimg.ImageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := luksimg.Encrypt(ctx, new(file), img, key, luksimg.EncryptOptions{LUKS: luks.Options{Version: 1, KDF: cheap}}); err != nil {
		t.Fatal(err)
	}
	if n := w.headers.Load(); n != 1 {
		t.Errorf("encrypting read the header %d times", n)
	}

	w = &watched{ReaderAt: bytes.NewReader(f.b)}
	i, err := luksimg.Inspect(ctx, w, size, luksimg.ImageOptions{})
	if err != nil || i.Disk == nil {
		t.Fatal(err)
	}
	b := make([]byte, d.Size())
	if _, err := i.Disk.ReadAt(b, 0); err != nil || !bytes.Equal(b, d.b) {
		t.Errorf("the disk differs: %v", err)
	}
	if n := w.headers.Load(); n != 1 {
		t.Errorf("inspecting read the header %d times", n)
	}
	if c, err := i.Disk.Check(ctx); err != nil || c.Corruptions != 0 {
		t.Errorf("check: %+v, %v", c, err)
	}
	if n := w.headers.Load(); n != 2 {
		t.Errorf("inspecting and checking read the header %d times", n)
	}
}
