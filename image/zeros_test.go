package image_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/image"
)

func TestZeros(t *testing.T) {
	z := image.Zeros(1000)
	b := bytes.Repeat([]byte{1}, 600)
	if n, err := z.ReadAt(b, 500); n != 500 || err != io.EOF || !bytes.Equal(b[:500], make([]byte, 500)) || b[500] != 1 {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := z.ReadAt(b, 1000); n != 0 || err != io.EOF {
		t.Errorf("read across the end: %d, %v", n, err)
	}
	for e, err := range image.Extents(z, 0, z.Size()) {
		if err != nil || e.Kind != image.Hole || e.Length != 1000 {
			t.Errorf("%+v, %v", e, err)
		}
	}
}

func TestUnchanged(t *testing.T) {
	name := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(name, make([]byte, 512), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	disk, err := image.NewFile(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := disk.Unchanged(); err != nil {
		t.Error(err)
	}
	if err := f.Truncate(1024); err != nil {
		t.Fatal(err)
	}
	if err := disk.Unchanged(); !errors.Is(err, image.ErrChanged) {
		t.Errorf("a longer file: %v", err)
	}
}
