package folder_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/image/folder"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/qcow"
)

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, dir string) *folder.Folder {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	d := folder.New(root)
	t.Cleanup(func() { d.Close() })
	return d
}

// TestResolve opens files inside the folder by every spelling of their names, and checks that files
// outside are refused.
func TestResolve(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "images")
	write(t, filepath.Join(dir, "base"), []byte("the base"))
	write(t, filepath.Join(dir, "below", "base"), []byte("below"))
	write(t, filepath.Join(top, "secret"), []byte("secret"))
	links := runtime.GOOS != "windows"
	if links {
		for name, to := range map[string]string{"out": "../secret", "in": "base"} {
			if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		names string // separated by |
		from  string
		want  string // the content
		err   error
	}{
		{"base", "top", "the base", nil},
		{"file:base", "top", "the base", nil},
		{"none|base", "top", "the base", nil},
		{`.\below\base`, "top", "below", nil},
		{`C:\elsewhere\base`, "top", "the base", nil},
		{"base", "below/top", "below", nil},
		{"../base", "below/top", "the base", nil},
		{filepath.Join(dir, "base"), "top", "the base", nil},
		{"none", "top", "", fs.ErrNotExist},
		{"../secret", "top", "", folder.ErrOutside},
		{"../../secret", "below/top", "", folder.ErrOutside},
		{filepath.Join(top, "secret"), "top", "", folder.ErrOutside},
		{"nbd:localhost:1", "top", "", folder.ErrOutside},
		{"base\x00", "top", "", folder.ErrOutside},
		{"below", "top", "", folder.ErrOutside},
		{"in", "top", "the base", nil},
		{"out", "top", "", folder.ErrOutside},
	} {
		if !links && (c.names == "in" || c.names == "out" || strings.Contains(c.names, "C:")) {
			continue
		}
		f, err := open(t, dir).Resolve(image.Ref{What: "backing file", Names: strings.Split(c.names, "|"), From: c.from})
		if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%q: %v, want %v", c.names, err, c.err)
		}
		if e := new(folder.Error); err != nil && (!errors.As(err, &e) || !strings.Contains(e.Hint(), "put the backing file there")) {
			t.Errorf("%q: no hint: %v", c.names, err)
		}
		if err != nil {
			continue
		}
		if b, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size)); err != nil || string(b) != c.want {
			t.Errorf("%q: %q, %v, want %q", c.names, b, err, c.want)
		}
	}
}

// TestOpened checks that Opened can refuse a file and that its error is returned.
func TestOpened(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "base"), nil)
	d, no := open(t, dir), errors.New("no")
	d.Opened = func(f *os.File) error { return no }
	_, err := d.Resolve(image.Ref{Names: []string{"base"}})
	if e := new(folder.Error); !errors.Is(err, no) || !errors.As(err, &e) || e.Hint() != "" {
		t.Errorf("%v", err)
	}
}

// overlay writes an empty qcow2 image of n bytes that has a backing file.
func overlay(t *testing.T, name, backing string, n int64) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := qcow.Create(t.Context(), f, io.NewSectionReader(bytes.NewReader(make([]byte, n)), 0, n), qcow.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	const at = 1 << 10 // within the first cluster, after the header
	field := binary.BigEndian.AppendUint64(nil, at)
	for off, b := range map[int64][]byte{8: binary.BigEndian.AppendUint32(field, uint32(len(backing))), at: []byte(backing)} {
		if _, err := f.WriteAt(b, off); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOpenImage reads a chain of images through Resolve.
func TestOpenImage(t *testing.T) {
	dir := t.TempDir()
	disk := bytes.Repeat([]byte("the disk"), 1<<14)
	write(t, filepath.Join(dir, "below", "base.raw"), disk)
	overlay(t, filepath.Join(dir, "below", "middle"), "base.raw", int64(len(disk)))
	overlay(t, filepath.Join(dir, "top"), "below/middle", int64(len(disk)))
	f, err := os.Open(filepath.Join(dir, "top"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	img, err := luksimg.OpenImage(context.Background(), f, fi.Size(), luksimg.ImageOptions{Resolve: open(t, dir).Resolve, ID: "top"})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	imagetest.Source(t, img, disk)
}
