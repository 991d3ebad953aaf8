package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/qcow"
)

// TestConvert copies the disk of a compressed image with holes.
func TestConvert(t *testing.T) {
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "disk.qcow2"), filepath.Join(dir, "disk.raw")
	disk := make([]byte, 4<<20)
	copy(disk[1<<20:], bytes.Repeat([]byte("the disk"), 1<<14))
	f, err := os.Create(src)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := qcow.Create(t.Context(), f, bytes.NewReader(disk), qcow.CreateOptions{Compression: "zlib"}); err != nil {
		t.Fatal(err)
	}
	if err := convert(t.Context(), src, dst); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(dst); err != nil || !bytes.Equal(got, disk) {
		t.Errorf("%d bytes that differ from the disk, %v", len(got), err)
	}
	if err := convert(t.Context(), src, dst); !os.IsExist(err) {
		t.Errorf("an existing file was overwritten: %v", err)
	}
}
