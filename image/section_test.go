package image_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// TestSection checks the Source contract on parts of a raw file with holes.
func TestSection(t *testing.T) {
	dir := t.TempDir()
	want := imagetest.Mixed(t, dir, "disk", 3<<20+77, 1)
	src, err := imagetest.File(t, dir, "disk")
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(want))
	for _, p := range [][2]int64{{0, size}, {1 << 20, 1<<20 + 1}, {77, size - 77}, {size, 0}, {5, 0}} {
		s, err := image.NewSection(src, p[0], p[1])
		if err != nil {
			t.Fatal(err)
		}
		imagetest.Source(t, s, want[p[0]:][:p[1]])
	}
	for _, p := range [][2]int64{{-1, 1}, {0, size + 1}, {size, 1}, {1, 1<<63 - 1}, {0, -1}} {
		if _, err := image.NewSection(src, p[0], p[1]); err == nil {
			t.Errorf("%d bytes at %d: no error", p[1], p[0])
		}
	}
}

// TestWritableSection checks that no write lands outside the section.
func TestWritableSection(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := bytes.Repeat([]byte("0123456789abcdef"), 64)
	if _, err := f.Write(want); err != nil {
		t.Fatal(err)
	}
	src, err := image.NewFile(f)
	if err != nil {
		t.Fatal(err)
	}
	part, err := image.NewSection(src, 100, 200)
	if err != nil {
		t.Fatal(err)
	}
	s := part.Writable(f)
	for _, off := range []int64{-1, 196, 200, 1 << 62} {
		if n, err := s.WriteAt([]byte("hello"), off); n != 0 || !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("at %d: %d, %v", off, n, err)
		}
	}
	for _, off := range []int64{0, 195} {
		if _, err := s.WriteAt([]byte("hello"), off); err != nil {
			t.Error(err)
		}
		copy(want[100+off:], "hello")
	}
	if err := s.Sync(); err != nil {
		t.Error(err)
	}
	got, err := os.ReadFile(f.Name())
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the file differs, %v", err)
	}
	imagetest.Source(t, s, want[100:300])
}
