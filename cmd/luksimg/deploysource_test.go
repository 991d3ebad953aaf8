package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/deploy"
)

// TestDeployChangedSource checks that a change of the disk after the deployment began is always reported.
func TestDeployChangedSource(t *testing.T) {
	for step, c := range map[string]struct{ encrypt, keep bool }{
		deploy.StepKey: {encrypt: true}, deploy.StepEncrypt: {true, true}, deploy.StepUpload: {true, true}, deploy.StepImport: {keep: true},
	} {
		for _, how := range []string{"size", "time"} {
			t.Run(step+" "+how, func(t *testing.T) {
				w := ready(t)
				if code, _, errs := w.run("luksimg-killed", append([]string{step, "done"}, w.deploy()...)...); code > 0 {
					t.Fatal(errs)
				}
				disk, size := filepath.Join(w.dir, "disk.raw"), 6<<20
				if how == "size" {
					size = 7 << 20
				}
				bootDisk(t, disk, size)
				later := time.Now().Add(time.Second)
				if err := os.Chtimes(disk, later, later); err != nil {
					t.Fatal(err)
				}
				errs := w.fails(1, "has changed since the deployment", w.deploy()...)
				if !strings.Contains(errs, `"hint":`) || !strings.Contains(errs, "--changed-source") {
					t.Error(errs)
				}
				for arg, good := range map[string]bool{"keep": c.keep, "encrypt": c.encrypt} {
					if !good {
						w.fails(1, "has changed since the deployment", w.deploy("--changed-source", arg)...)
					}
				}
				w.fails(1, "want refuse, encrypt or keep", w.deploy("--changed-source", "x")...)
				if !c.encrypt {
					w.one(w.ok(w.deploy("--changed-source", "keep")...), 0)
					return
				}
				w.ok(w.deploy("--changed-source", "encrypt", "--keep-key", "dek")...)
				w.ok("verify", "--key-file", "dek", "disk.raw", "cos://us-south/"+testBucket+"/web.raw")
				w.ok("unwrap", "--envelope", "web.envelope.json", "back")
				if n := w.called("/actions/wrap"); n != 2 {
					t.Errorf("%d keys were wrapped, want a new key for the changed disk", n)
				}
				// The image holds the changed disk.
				w.ok(w.deploy()...)
			})
		}
	}
}

// TestDeployGoneSource removes the source after it was encrypted, and identifies a source in Object Storage by its
// ETag.
func TestDeployGoneSource(t *testing.T) {
	c := ready(t)
	if code, _, errs := c.run("luksimg-killed", append([]string{deploy.StepEncrypt, "done"}, c.deploy()...)...); code > 0 {
		t.Fatal(errs)
	}
	if err := os.Rename(filepath.Join(c.dir, "disk.raw"), filepath.Join(c.dir, "gone")); err != nil {
		t.Fatal(err)
	}
	c.ok(c.deploy()...)
	c.ok("upload", "gone", "cos://us-south/"+testBucket+"/source.raw")
	args := c.deploy("--name", "other")
	for i, a := range args {
		if a == "disk.raw" {
			args[i] = "cos://us-south/" + testBucket + "/source.raw"
		}
	}
	if code, _, errs := c.run("luksimg-killed", append([]string{deploy.StepEncrypt, "done"}, args...)...); code > 0 {
		t.Fatal(errs)
	}
	bootDisk(t, filepath.Join(c.dir, "gone"), 6<<20)
	b, err := os.OpenFile(filepath.Join(c.dir, "gone"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	b.WriteAt([]byte("other"), 1<<20)
	b.Close()
	c.ok("upload", "--force", "gone", "cos://us-south/"+testBucket+"/source.raw")
	c.fails(1, "has changed since", args...)
	c.ok(append(args, "--changed-source", "keep")...)
}

// TestDeployDisk checks that a disk that cannot boot is refused before a key is made.
func TestDeployDisk(t *testing.T) {
	c := ready(t)
	disk := filepath.Join(c.dir, "disk.raw")
	noise(t, disk, 6<<20)
	if errs := c.fails(1, "no boot signature", c.deploy()...); !strings.Contains(errs, "--any-disk") {
		t.Error(errs)
	}
	// Nothing was created, so another disk can replace this one.
	noise(t, disk, 7<<20)
	c.fails(1, "no boot signature", c.deploy()...)
	// Checking a hole larger than the cloud's limit is fast.
	if err := os.Truncate(disk, 101<<30); err != nil {
		t.Fatal(err)
	}
	c.fails(1, "up to 100 GiB", c.deploy("--state", "long", "--any-disk")...)
	if n := c.called("/actions/wrap"); n != 0 {
		t.Errorf("%d keys were wrapped for a disk that cannot boot", n)
	}
	if s, err := cos.StateFile(filepath.Join(c.dir, "web.envelope.json")).Load(); s != nil || err != nil {
		t.Errorf("an envelope exists: %v", err)
	}
	noise(t, disk, 6<<20)
	c.fails(4, "wait for import: ", c.deploy("--state", "any", "--any-disk")...) // the cloud checks too
}
