package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/qcow"
)

// TestEncrypt encrypts an overlay on a raw disk, and compares the result.
func TestEncrypt(t *testing.T) {
	dir, key := t.TempDir(), []byte("a passphrase")
	at := func(name string) string { return filepath.Join(dir, name) }
	disk := bytes.Repeat([]byte("the disk"), 1<<14)
	if err := os.WriteFile(at("base.raw"), disk, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(at("overlay.qcow2"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	empty := io.NewSectionReader(bytes.NewReader(make([]byte, len(disk))), 0, int64(len(disk)))
	if _, err := qcow.Create(t.Context(), f, empty, qcow.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	name := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, 1<<10), 8) // offset and length
	if _, err := f.WriteAt(name, 8); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("base.raw"), 1<<10); err != nil {
		t.Fatal(err)
	}
	if err := encrypt(t.Context(), f.Name(), at("disk.luks"), key); err != nil {
		t.Fatal(err)
	}
	out, err := os.Open(at("disk.luks"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	fi, err := out.Stat()
	if err != nil {
		t.Fatal(err)
	}
	img, err := luksimg.OpenImage(t.Context(), out, fi.Size(), luksimg.ImageOptions{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	if b, err := io.ReadAll(io.NewSectionReader(img, 0, img.Size())); err != nil || !bytes.Equal(b, disk) {
		t.Errorf("%d bytes that differ from the disk, %v", len(b), err)
	}
	if err := encrypt(t.Context(), f.Name(), at("disk.luks"), key); !os.IsExist(err) {
		t.Errorf("the existing image was overwritten: %v", err)
	}
}
