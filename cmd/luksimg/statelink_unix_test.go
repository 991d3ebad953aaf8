//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
)

// TestStateLink plants links and files in a folder that others can write to, in the place of the states of transfers
// and deployments. luksimg must not write through a link, and must not continue from a file of another user.
func TestStateLink(t *testing.T) {
	c := ready(t)
	object := "cos://us-south/" + testBucket + "/disk.raw"
	c.ok("upload", "-q", "disk.raw", object)
	at := func(name string) string { return filepath.Join(c.dir, name) }
	precious := at("precious")
	if err := os.WriteFile(precious, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	download := []string{"download", object, "d"}
	upload := []string{"upload", "--force", "disk.raw", object}
	deploy := c.deploy("--state", "state")
	for _, v := range []struct {
		name string
		args []string
		old  bool // only old versions of luksimg use this name, so only a link is refused
	}{
		{"d.download.json.tmp", download, true},
		{"d.download.json", download, false},
		{"d.download", download, false},
		{"disk.raw.upload.json.tmp", upload, true},
		{"disk.raw.upload.json", upload, false},
		{"state", deploy, false},
		{"state.tmp", deploy, true},
		{"state.lock", deploy, false},
		{"state.upload", deploy, false},
	} {
		for what, plant := range map[string]func(name string) error{
			"a link":        func(name string) error { return os.Symlink(precious, name) },
			"a dead link":   func(name string) error { return os.Symlink(precious+".none", name) },
			"a second name": func(name string) error { return os.Link(precious, name) },
			"for all": func(name string) error {
				if err := os.WriteFile(name, []byte("{}"), 0o600); err != nil {
					return err
				}
				return os.Chmod(name, 0o666)
			},
			"a pipe": func(name string) error { return syscall.Mkfifo(name, 0o600) },
		} {
			if v.old && what != "a link" && what != "a dead link" || v.name == "state.upload" && what != "a link" {
				continue
			}
			if err := plant(at(v.name)); err != nil {
				t.Fatal(err)
			}
			if errs := c.fails(exit.Failure, "not from an earlier run of yours", v.args...); !strings.Contains(errs, "remove it, or work in a folder") {
				t.Errorf("%s: no hint: %s", v.name, errs)
			}
			if b, err := os.ReadFile(precious); err != nil || string(b) != "precious" {
				t.Fatalf("%s, %s: the other file is %q, %v", v.name, what, b, err)
			}
			if _, err := os.Stat(precious + ".none"); err == nil {
				t.Fatalf("%s: a file was created through a link", v.name)
			}
			for _, name := range []string{v.name, "d"} {
				if err := os.Remove(at(name)); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
		}
	}
	// --abort removes the link, but not its target.
	if err := os.Symlink(precious, at("d.download")); err != nil {
		t.Fatal(err)
	}
	c.ok("download", "--abort", object, "d")
	if b, err := os.ReadFile(precious); err != nil || string(b) != "precious" {
		t.Errorf("after --abort: %q, %v", b, err)
	}
	if got := names(t, c.dir); strings.Contains(strings.Join(got, " "), "download") {
		t.Errorf("files: %q", got)
	}
}
