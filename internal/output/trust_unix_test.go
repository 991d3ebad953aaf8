//go:build unix

package output

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// TestNotOurs plants files that another user could have made where a run expects those of an earlier
// run. The run must not continue them or write through them, and Discard must remove them.
func TestNotOurs(t *testing.T) {
	for what, plant := range map[string]func(t *testing.T, name, other string){
		"a link":         func(t *testing.T, name, other string) { must(t, os.Symlink(other, name)) },
		"a dead link":    func(t *testing.T, name, other string) { must(t, os.Symlink(other+".none", name)) },
		"a second name":  func(t *testing.T, name, other string) { must(t, os.Link(other, name)) },
		"a pipe":         func(t *testing.T, name, _ string) { must(t, syscall.Mkfifo(name, 0o600)) },
		"a folder":       func(t *testing.T, name, _ string) { must(t, os.Mkdir(name, 0o700)) },
		"for the group":  func(t *testing.T, name, _ string) { must(t, os.WriteFile(name, nil, 0o600), os.Chmod(name, 0o620)) },
		"for all":        func(t *testing.T, name, _ string) { must(t, os.WriteFile(name, nil, 0o600), os.Chmod(name, 0o602)) },
		"another user's": func(t *testing.T, name, _ string) { must(t, os.WriteFile(name, nil, 0o600)); another(t, name) },
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			name, other := filepath.Join(dir, "disk"), filepath.Join(dir, "other")
			must(t, os.WriteFile(other, []byte("precious"), 0o600))
			plant(t, name+partial, other)
			if f, err := Resume(name, 0o600, true); !errors.Is(err, ErrNotOurs) {
				t.Errorf("Resume: %v", err)
				if err == nil {
					f.Abort()
				}
			}
			if b, err := ReadOurs(name+partial, 100); !errors.Is(err, ErrNotOurs) {
				t.Errorf("ReadOurs: %q, %v", b, err)
			}
			if unlock, err := LockName(name + partial); err == nil {
				unlock()
				t.Error("LockName accepted it")
			}
			if what != "a folder" {
				if err := WriteFile(name+partial, []byte("new"), 0o600); (err == nil) != (what != "a pipe") {
					t.Errorf("WriteFile: %v", err)
				}
			}
			if err := Discard(name); err != nil {
				t.Errorf("Discard: %v", err)
			}
			if _, err := os.Lstat(name + partial); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("after Discard: %v", err)
			}
			if got := content(t, other); got != "precious" {
				t.Errorf("the other file is %q", got)
			}
			if got := files(t, dir); len(got) != 1 {
				t.Errorf("files: %q", got)
			}
		})
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// another gives a file to another user, which only root can do.
func another(t *testing.T, name string) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	must(t, os.Chown(name, 12345, 12345))
}

// TestResumeMode checks that only this user can write to a partial download, whatever the umask.
func TestResumeMode(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	name := filepath.Join(t.TempDir(), "disk")
	for range 2 {
		f, err := Resume(name, 0o666, false)
		if err != nil {
			t.Fatal(err)
		}
		fi, err := f.Stat()
		if err != nil || fi.Mode().Perm() != 0o644 {
			t.Errorf("mode %v, %v", fi.Mode(), err)
		}
		f.Keep()
	}
}

// TestDevices checks that devices, pipes, and links to them or through /dev and /proc are not replaced,
// even with force.
func TestDevices(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must(t, syscall.Mkfifo(at("pipe"), 0o600), os.WriteFile(at("file"), nil, 0o600))
	must(t, os.Symlink("/dev/null", at("null")), os.Symlink("pipe", at("to-pipe")), os.Symlink("to-pipe", at("far")), os.Symlink(dir, at("to-dir")))
	must(t, os.Symlink("/dev/there-is-none", at("none")))
	f, err := os.Open(at("file")) // like /dev/stdout after >file
	must(t, err)
	defer f.Close()
	refused := []string{"/dev/null", at("pipe"), at("null"), at("to-pipe"), at("far"), at("to-dir"), at("none")}
	if _, err := os.Stat("/proc/self/fd"); err == nil {
		must(t, os.Symlink("/proc/self/fd/1", at("stdout")))
		for _, fd := range []string{"/proc/self/fd/", "/dev/fd/"} {
			refused = append(refused, fd+strconv.Itoa(int(f.Fd())))
		}
		refused = append(refused, at("stdout"), "/dev/stdout")
	}
	for _, name := range refused {
		before, errBefore := os.Lstat(name)
		for _, force := range []bool{false, true} {
			if f, err := Create(name, 0o600, force); !errors.Is(err, ErrNotRegular) {
				t.Errorf("%s, force %v: %v", name, force, err)
				if err == nil {
					f.Abort()
				}
			}
		}
		if after, err := os.Lstat(name); errBefore == nil && (err != nil || after.Mode() != before.Mode()) {
			t.Errorf("%s was replaced", name)
		}
	}
	// A link to a file is replaced, and the file keeps its content.
	must(t, os.Symlink("file", at("link")), WriteFile(at("link"), []byte("new"), 0o600))
	if content(t, at("link")) != "new" || content(t, at("file")) != "" {
		t.Error("written through a link")
	}
}
