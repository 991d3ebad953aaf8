package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/image"
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
	if got, err := os.ReadFile(dst); err != nil || !bytes.Equal(got, disk) {
		t.Errorf("the existing file changed: %d bytes, %v", len(got), err)
	}
}

// TestFails checks that a failed copy leaves no output.
func TestFails(t *testing.T) {
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "disk.qcow2"), filepath.Join(dir, "disk.raw")
	var text bytes.Buffer
	for i := 0; text.Len() < 1<<20; i++ {
		fmt.Fprintln(&text, i)
	}
	f, err := os.Create(src)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := qcow.Create(t.Context(), f, bytes.NewReader(text.Bytes()[:1<<20]), qcow.CreateOptions{Compression: "zlib"}); err != nil {
		t.Fatal(err)
	}
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	// Damage a compressed cluster in the middle of the file, so that the image still opens.
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xff}, 32<<10), fi.Size()/2); err != nil {
		t.Fatal(err)
	}
	if err := convert(t.Context(), src, dst); !errors.Is(err, image.ErrFormat) {
		t.Errorf("a damaged image: %v", err)
	}
	if _, err := os.Lstat(dst); !os.IsNotExist(err) {
		t.Errorf("the output: %v", err)
	}
}
