package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/internal/faultfs"
	"github.com/luksimg/luksimg/internal/output"
)

// runOn runs the command with its outputs on a filesystem in memory. Its inputs are on the system's filesystem.
func runOn(d *faultfs.FS, args ...string) (code int, out string) {
	defer output.Use(d)()
	return runIn(context.Background(), args...)
}

// same returns a check that an image holds this disk under this key. It skips images that it has checked before.
func same(disk []byte) func(img, key []byte) error {
	type result struct{ err error }
	seen := map[[32]byte]result{}
	return func(img, key []byte) error {
		sum := sha256.Sum256(slices.Concat(img, []byte{0}, key))
		if r, ok := seen[sum]; ok {
			return r.err
		}
		err := func() error {
			i, err := luksimg.OpenImage(context.Background(), bytes.NewReader(img), int64(len(img)), luksimg.ImageOptions{Key: key})
			if err != nil {
				return err
			}
			defer i.Close()
			return luksimg.Verify(context.Background(), bytes.NewReader(disk), i, luksimg.VerifyOptions{})
		}()
		seen[sum] = result{err}
		return err
	}
}

// TestPowerLoss simulates a power loss at each moment while files are made. The final name must then hold the old
// file, no file, or the complete new file. After the command has ended it must be the new file. An image must never
// exist without its key.
func TestPowerLoss(t *testing.T) {
	dir := t.TempDir()
	key, disk, image := encryptedDisk(t, dir)
	at := func(name string) string { return filepath.Join(dir, "made", name) }
	plain, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	keyText, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	check := same(plain)
	opens := func(c *faultfs.FS, key []byte) error {
		if b := c.ReadFile(at("disk")); b != nil {
			return check(b, key)
		}
		return nil
	}
	opensByFile := func(c *faultfs.FS) error { return opens(c, c.ReadFile(at("key"))) }
	equals := func(name string, want []byte) func(c *faultfs.FS) error {
		return func(c *faultfs.FS) error {
			if b := c.ReadFile(at(name)); b != nil && !bytes.Equal(b, want) {
				return errors.New(name + " has other content")
			}
			return nil
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "made"), 0o700); err != nil {
		t.Fatal(err)
	}
	luks2 := []string{"-q", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"}
	for name, c := range map[string]struct {
		args  []string
		right func(c *faultfs.FS) error
		made  []string // in the order of their names
	}{
		"encrypt": {slices.Concat([]string{"encrypt", "--generate-key", at("key")}, quickLUKS, []string{disk, at("disk")}),
			opensByFile, []string{"disk", "key"}},
		"encrypt, LUKS2, verified": {slices.Concat([]string{"encrypt", "--verify", "--manifest", at("manifest"), "--generate-key", at("key")}, luks2, []string{disk, at("disk")}),
			opensByFile, []string{"disk", "key", "manifest"}},
		"encrypt, detached": {slices.Concat([]string{"encrypt", "--header", at("header"), "--key-file", key}, quickLUKS, []string{disk, at("disk")}),
			func(c *faultfs.FS) error {
				if c.ReadFile(at("disk")) != nil && len(c.ReadFile(at("header"))) == 0 {
					return errors.New("the image exists without its header")
				}
				return nil
			}, []string{"disk", "header"}},
		"encrypt, replaced": {slices.Concat([]string{"encrypt", "--force", "--key-file", key}, quickLUKS, []string{disk, at("disk")}),
			func(c *faultfs.FS) error {
				if b := c.ReadFile(at("disk")); string(b) == "old" {
					return nil
				} else if b == nil {
					return errors.New("neither the old nor the new file")
				}
				return opens(c, keyText)
			}, []string{"disk"}},
		"VHD":   {[]string{"encrypt", "-q", "--format", "vhd", "--generate-key", at("key"), disk, at("disk")}, opensByFile, []string{"disk", "key"}},
		"qcow2": {slices.Concat([]string{"encrypt", "-q", "--format", "qcow2", "--pbkdf-force-iterations", "1000", "--generate-key", at("key"), disk, at("disk")}), opensByFile, []string{"disk", "key"}},
		"reencrypt": {slices.Concat([]string{"reencrypt", "-q", "--key-file", key, "--generate-key", at("key"), image, at("disk")}),
			opensByFile, []string{"disk", "key"}},
		"decrypt":  {[]string{"decrypt", "-q", "--key-file", key, image, at("raw")}, equals("raw", plain), []string{"raw"}},
		"convert":  {[]string{"convert", "-q", "--format", "qcow2", disk, at("disk")}, func(c *faultfs.FS) error { return opens(c, nil) }, []string{"disk"}},
		"VHDX":     {[]string{"convert", "-q", "--format", "vhdx", "--block-size", "1M", disk, at("disk")}, func(c *faultfs.FS) error { return opens(c, nil) }, []string{"disk"}},
		"VMDK":     {[]string{"convert", "-q", "--format", "vmdk", disk, at("disk")}, func(c *faultfs.FS) error { return opens(c, nil) }, []string{"disk"}},
		"keygen":   {[]string{"keygen", at("key")}, func(c *faultfs.FS) error { return lengths(c.ReadFile(at("key")), 44) }, []string{"key"}},
		"root key": {[]string{"keygen", "--kms", "local:" + at("root")}, func(c *faultfs.FS) error { return lengths(c.ReadFile(at("root")), 32) }, []string{"root"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := faultfs.New()
			if name == "encrypt, replaced" {
				d.WriteFile(at("disk"), []byte("old"))
			}
			if code, out := runOn(d, c.args...); code != exit.Done {
				t.Fatal(out)
			}
			n := 0
			for moment, crashed := range d.Crashes(2) {
				n++
				if err := c.right(crashed); err != nil {
					t.Fatalf("%v: %v", moment, err)
				}
				if !moment.End {
					continue
				}
				var want []string
				for _, m := range c.made {
					want = append(want, at(m))
				}
				if got := crashed.Names(); !slices.Equal(got, want) {
					t.Fatalf("%v: unexpected file %q", moment, got)
				}
				if slices.Equal(crashed.ReadFile(at("disk")), []byte("old")) {
					t.Fatalf("%v: the old file is back", moment)
				}
			}
			if n < 6 {
				t.Errorf("%d states only", n)
			}
		})
	}
}

// lengths returns an error unless a file is empty or complete.
func lengths(b []byte, n int) error {
	if b != nil && len(b) != n {
		return errors.New("the key is incomplete")
	}
	return nil
}

// TestOutputFailures lets each write, sync, rename and so on of a job fail. The exit code must be 1, and no image,
// key or header may remain.
func TestOutputFailures(t *testing.T) {
	dir := t.TempDir()
	key, disk, image := encryptedDisk(t, dir)
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, args := range map[string][]string{
		"encrypt": slices.Concat([]string{"encrypt", "--header", at("header"), "--manifest", at("manifest"), "--generate-key", at("new.key")}, quickLUKS, []string{disk, at("new")}),
		"VHD":     {"encrypt", "-q", "--format", "vhd", "--generate-key", at("new.key"), disk, at("new")},
		"qcow2":   {"encrypt", "-q", "--format", "qcow2", "--pbkdf-force-iterations", "1000", "--generate-key", at("new.key"), disk, at("new")},
		"decrypt": {"decrypt", "-q", "--key-file", key, image, at("new")},
	} {
		n := 0
		for f := range faultfs.Failures(faultfs.New, func(d *faultfs.FS) error {
			if code, out := runOn(d, args...); code != exit.Done {
				return errors.New(out)
			}
			return nil
		}, faultfs.Open, faultfs.Write, faultfs.Sync, faultfs.Truncate, faultfs.Rename, faultfs.SyncDir) {
			n++
			if f.Err == nil {
				t.Errorf("%s: %s of %s (%d): not an error", name, f.Call.Op, f.Call.Name, f.Call.N)
			}
			if left := f.FS.Names(); len(left) > 0 {
				t.Errorf("%s: %s of %s (%d): files remain: %q", name, f.Call.Op, f.Call.Name, f.Call.N, left)
			}
		}
		if n < 6 {
			t.Errorf("%s: %d calls only", name, n)
		}
	}
}
