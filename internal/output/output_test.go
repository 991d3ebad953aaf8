package output

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// files returns the names in a folder.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func create(t *testing.T, name string, force bool) *File {
	t.Helper()
	f, err := Create(name, 0o640, force)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Abort)
	if _, err := f.WriteString("new"); err != nil {
		t.Fatal(err)
	}
	return f
}

func content(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCommit(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "disk")
	f := create(t, name, false)
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the name exists before Commit: %v", err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	f.Abort() // does nothing after Commit
	if got := content(t, name); got != "new" {
		t.Errorf("content %q", got)
	}
	if n := files(t, dir); len(n) != 1 {
		t.Errorf("files: %q", n)
	}
	if fi, err := os.Stat(name); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm()&^0o640 != 0 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if err := f.Commit(); err == nil {
		t.Error("a second Commit did not fail")
	}
}

func TestAbort(t *testing.T) {
	dir := t.TempDir()
	create(t, filepath.Join(dir, "disk"), false).Abort()
	if n := files(t, dir); len(n) != 0 {
		t.Errorf("files: %q", n)
	}
}

func TestExists(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "disk")
	if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(name, 0o600, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("without force: %v", err)
	}
	create(t, name, true).Abort()
	if got := content(t, name); got != "old" {
		t.Errorf("after Abort: %q", got)
	}
	if err := create(t, name, true).Commit(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, name); got != "new" {
		t.Errorf("after Commit: %q", got)
	}
	if n := files(t, dir); len(n) != 1 {
		t.Errorf("files: %q", n)
	}
}

// TestAppears checks Commit when the name appears while the file is written.
func TestAppears(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "disk")
	f := create(t, name, false)
	if err := os.WriteFile(name, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Commit: %v", err)
	}
	if got := content(t, name); got != "other" {
		t.Errorf("content %q", got)
	}
	if n := files(t, dir); len(n) != 1 {
		t.Errorf("files: %q", n)
	}
}

func TestNotRegular(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{dir, os.DevNull, filepath.Join(dir, "no", "such", "folder"), dir + string(filepath.Separator)} {
		if f, err := Create(name, 0o600, true); err == nil {
			f.Abort()
			t.Errorf("%s was accepted", name)
		}
	}
}

// TestNoFolder checks that the error names the missing folder, not the temporary file.
func TestNoFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	_, err := Create(filepath.Join(dir, "disk"), 0o600, false)
	if e := new(fs.PathError); !errors.As(err, &e) || e.Path != dir || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestLeftovers checks that leftovers of killed runs are removed, but not the file of an active run or
// files with similar names.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "disk")
	running := create(t, name, false)
	keep := []string{
		filepath.Base(running.Name()),
		".disk.luks.0123456789abcdef.luksimg-partial", // leftover of disk.luks
		".disk.0123456789abcdeg.luksimg-partial",
		".disk.0123456789abcde.luksimg-partial",
		".disk.luksimg-partial",
		"disk.0123456789abcdef.luksimg-partial",
	}
	for _, n := range keep[1:] {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	left := ".disk.0123456789abcdef.luksimg-partial"
	if err := os.WriteFile(filepath.Join(dir, left), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := create(t, name, false)
	f.Abort()
	got := files(t, dir)
	if len(got) != len(keep) {
		t.Errorf("files: %q", got)
	}
	for _, n := range keep {
		if _, err := os.Stat(filepath.Join(dir, n)); err != nil {
			t.Error(err)
		}
	}
	if err := running.Commit(); err != nil {
		t.Errorf("the active run: %v", err)
	}
}

// TestTruncateError checks that the error has the final name of the file and the length.
func TestTruncateError(t *testing.T) {
	name := filepath.Join(t.TempDir(), "disk")
	f := create(t, name, false)
	err := f.Truncate(-1)
	var p *fs.PathError
	if !errors.As(err, &p) || p.Path != name || !strings.Contains(err.Error(), "-1 bytes") {
		t.Errorf("%v", err)
	}
	if err := f.Truncate(2); err != nil {
		t.Error(err)
	}
}
