package output

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// TestResume keeps a file, continues it and commits it.
func TestResume(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "disk")
	f, err := Resume(name, 0o600, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("abc"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(name, 0o600, false); !errors.Is(err, ErrLocked) && runtime.GOOS != "windows" {
		t.Errorf("second Resume at the same time: %v", err)
	}
	if err := f.Keep(); err != nil {
		t.Fatal(err)
	}
	f.Abort() // after Keep, does nothing
	if got := files(t, dir); !slices.Equal(got, []string{"disk.download"}) {
		t.Fatalf("files: %v", got)
	}

	if f, err = Resume(name, 0o600, false); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("d"), 3); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, name); got != "abcd" {
		t.Errorf("content %q", got)
	}
	if got := files(t, dir); !slices.Equal(got, []string{"disk"}) {
		t.Errorf("files: %v", got)
	}

	if _, err := Resume(name, 0o600, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("existing name: %v", err)
	}
	if f, err = Resume(name, 0o600, true); err != nil {
		t.Fatal(err)
	}
	f.Abort()
	if got := content(t, name); got != "abcd" {
		t.Errorf("content after Abort %q", got)
	}
}

// TestResumeLink checks that Resume does not write through a link.
func TestResumeLink(t *testing.T) {
	dir := t.TempDir()
	name, other := filepath.Join(dir, "disk"), filepath.Join(dir, "other")
	if err := os.Symlink(other, name+partial); err != nil {
		t.Skip("no symbolic links here")
	}
	if _, err := Resume(name, 0o600, false); err == nil {
		t.Error("Resume followed a link")
	}
	if _, err := os.Lstat(other); err == nil {
		t.Error("Resume created a file through a link")
	}
}
