package copyout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/contents/files"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
)

// filesystem returns an image of the ext4 filesystem that mke2fs makes from a folder.
func filesystem(t *testing.T, dir string) []byte {
	t.Helper()
	need.Program(t, "mke2fs")
	path := write(t, nil, 0o600, t.TempDir(), "image")
	if err := os.Truncate(path, 64<<20); err != nil {
		t.Fatal(err)
	}
	need.Run(t, "", "mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-J", "size=4", "-N", "8000", "-d", dir, path)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func find(t *testing.T, b []byte, path string) *files.File {
	t.Helper()
	f, err := files.Open(context.Background(), bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	n, err := f.Find(path)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// write creates a file and its parent folders.
func write(t *testing.T, content []byte, perm fs.FileMode, path ...string) string {
	t.Helper()
	name := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, perm); err != nil {
		t.Fatal(err)
	}
	return name
}

func symlink(t *testing.T, target string, path ...string) {
	t.Helper()
	err := os.Symlink(target, filepath.Join(path...))
	if err != nil && runtime.GOOS == "windows" {
		t.Skipf("symbolic links need a privilege on Windows: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// snapshot returns the mode, size, and content or target of everything below a folder, by path.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		text := fi.Mode().String()
		switch fi.Mode().Type() {
		case 0:
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += string(b)
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text = target
		}
		rel, err := filepath.Rel(dir, path)
		all[rel] = text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	delete(all, ".")
	delete(all, "lost+found")
	return all
}

// TestFolder copies a tree that mke2fs made from a folder, and compares the copy with the folder.
func TestFolder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("folders on Windows have no permissions")
	}
	dir := t.TempDir()
	for i := range 700 {
		write(t, fmt.Append(nil, i), 0o644, dir, "many", fmt.Sprintf("file with a name %d", i))
	}
	deep := filepath.Join(dir, strings.Repeat("d/", 60))
	write(t, []byte("deep"), 0o600, deep, "file")
	write(t, imagetest.Noise(1<<20+77, 1), 0o640, dir, "large")
	first := write(t, []byte("one file"), 0o755, dir, "a", "first")
	if err := os.Link(first, filepath.Join(dir, "second")); err != nil {
		t.Fatal(err)
	}
	symlink(t, "first", dir, "a", "link")
	symlink(t, "/etc/passwd", dir, "a", "absolute")
	symlink(t, "../../../../etc", dir, "a", "up")
	symlink(t, strings.Repeat("x", 200), dir, "a", "long")
	sparse := write(t, []byte("start"), 0o644, dir, "sparse")
	if f, err := os.OpenFile(sparse, os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	} else {
		f.WriteAt([]byte("end"), 50<<20)
		f.Close()
	}
	want := snapshot(t, dir)
	// These entries and mode bits are not copied.
	write(t, []byte("s"), 0o755, dir, "setuid")
	if err := os.Chmod(filepath.Join(dir, "setuid"), 0o755|fs.ModeSetuid|fs.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	want["setuid"] = fs.FileMode(0o755).String() + "s"
	mkfifo(t, filepath.Join(dir, "pipe"))

	b := filesystem(t, dir)
	dst := filepath.Join(t.TempDir(), "out")
	var skipped []string
	o := Options{MaxBytes: 64 << 20, Skipped: func(path string, f *files.File) { skipped = append(skipped, path+f.Mode.Type().String()) }}
	stats, err := Folder(context.Background(), find(t, b, "/"), dst, o)
	if err != nil {
		t.Fatal(err)
	}
	got := snapshot(t, dst)
	for path, text := range want {
		if got[path] != text {
			t.Errorf("%s: %.100q, want %.100q", path, got[path], text)
		}
		delete(got, path)
	}
	for path := range got {
		t.Errorf("%s was not in the source", path)
	}
	if want := (Stats{Files: 706, Folders: 63, Links: 4, Skipped: 1, Bytes: stats.Bytes}); stats != want || stats.Bytes > 8<<20 {
		t.Errorf("%+v, want %+v", stats, want)
	}
	if fmt.Sprint(skipped) != "[/pipep---------]" {
		t.Errorf("skipped %q", skipped)
	}
	one, _ := os.Stat(filepath.Join(dst, "a", "first"))
	if two, err := os.Stat(filepath.Join(dst, "second")); err != nil || !os.SameFile(one, two) {
		t.Errorf("the hard links are different files: %v", err)
	}
	if fi, err := os.Stat(dst); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("folder: got mode %v, %v", fi.Mode(), err)
	}
	if n := room(t, filepath.Join(dst, "sparse")); n > 1<<20 {
		t.Errorf("the sparse file occupies %d bytes", n)
	}
	if _, err := Folder(context.Background(), find(t, b, "/"), dst, o); !errors.Is(err, ErrTaken) {
		t.Errorf("second copy: %v", err)
	}
	// File copies one file, with its permissions restricted.
	alone := filepath.Join(t.TempDir(), "alone")
	if _, err := File(context.Background(), find(t, b, "/setuid"), alone, o); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(alone); err != nil || fi.Mode() != 0o700 {
		t.Errorf("file: got mode %v, %v", fi.Mode(), err)
	}
}

// TestHostile checks that a hostile image makes nothing appear outside of the folder, and that nothing
// is left behind.
func TestHostile(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	symlink(t, outside, dir, "name-of-link")
	write(t, []byte("evil"), 0o644, dir, "name-of-dirs", "evil")
	write(t, []byte("evil"), 0o644, dir, "name-of-file")
	write(t, imagetest.Noise(100<<10, 2), 0o644, dir, "large")
	good := filesystem(t, dir)
	// entry returns the directory entry of a name.
	entry := func(b []byte, name string) []byte { return b[bytes.Index(b, []byte(name))-8:] }
	for _, c := range []struct {
		name string
		edit func(b []byte)
		kind error
		text string
	}{
		{"a folder with the name of a link", func(b []byte) { copy(entry(b, "name-of-dirs")[8:], "name-of-link") }, image.ErrFormat, "/name-of-link: .*twice"},
		{"a file with the name of a link", func(b []byte) { copy(entry(b, "name-of-file")[8:], "name-of-link") }, image.ErrFormat, "twice"},
		{"a file with the name of a folder", func(b []byte) { copy(entry(b, "name-of-file")[8:], "name-of-dirs") }, image.ErrFormat, "twice"},
		{"a path", func(b []byte) { copy(entry(b, "name-of-file")[8:], "../../evil/x") }, image.ErrFormat, "not the name of a file"},
		{"a path from the root", func(b []byte) { copy(entry(b, "name-of-file")[8:], "/tmp/evil---") }, image.ErrFormat, "not the name of a file"},
		{"a folder in itself", func(b []byte) { copy(entry(b, "evil\x00"), entry(b, "name-of-dirs")[:4]) }, image.ErrFormat, "/name-of-dirs/evil: .*inside itself"},
		{"the root in itself", func(b []byte) { copy(entry(b, "name-of-dirs"), "\x02\x00\x00\x00") }, image.ErrFormat, "inside itself"},
		{"an invalid inode", func(b []byte) { copy(entry(b, "name-of-file"), "\xff\xff\xff\xff") }, image.ErrFormat, "/name-of-file: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := bytes.Clone(good)
			c.edit(b)
			parent := t.TempDir()
			_, err := Folder(context.Background(), find(t, b, "/"), filepath.Join(parent, "out"), Options{MaxBytes: 1 << 20})
			if !errors.Is(err, c.kind) || !regexp.MustCompile(c.text).MatchString(err.Error()) {
				t.Errorf("%v, want %q", err, c.text)
			}
			for _, d := range []string{parent, outside} {
				if all, _ := os.ReadDir(d); len(all) > 0 {
					t.Errorf("%s has %v", d, all)
				}
			}
		})
	}
	parent := t.TempDir()
	if _, err := Folder(context.Background(), find(t, good, "/"), filepath.Join(parent, "out"), Options{MaxBytes: 100 << 10}); !errors.Is(err, ErrTooMuch) {
		t.Errorf("tree larger than MaxBytes: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Folder(ctx, find(t, good, "/"), filepath.Join(parent, "out"), Options{MaxBytes: 1 << 20}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := File(ctx, find(t, good, "/large"), filepath.Join(parent, "out"), Options{MaxBytes: 1 << 20}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if all, _ := os.ReadDir(parent); len(all) > 0 {
		t.Errorf("%v left behind", all)
	}
}
