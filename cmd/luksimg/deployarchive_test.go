package main

import (
	"archive/tar"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// writeOVA writes an OVA with a raw disk and a manifest. wrong damages a digest in the manifest.
func writeOVA(t *testing.T, name, disk string, wrong bool) {
	t.Helper()
	b, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	if wrong {
		sum[0] ^= 1
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := tar.NewWriter(f)
	for _, m := range []struct{ name, data string }{
		{"vm.ovf", `<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"><References><File ovf:id="f" ovf:href="disk.raw"/></References><DiskSection><Disk ovf:fileRef="f" ovf:diskId="d"/></DiskSection></Envelope>`},
		{"vm.mf", fmt.Sprintf("SHA256(disk.raw)= %x\n", sum)},
		{"disk.raw", string(b)},
	} {
		if err := w.WriteHeader(&tar.Header{Name: m.name, Size: int64(len(m.data)), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDeployOVA deploys a disk in an archive. A disk with a wrong digest must not be uploaded.
func TestDeployOVA(t *testing.T) {
	c := ready(t)
	disk := filepath.Join(c.dir, "disk.raw")
	writeOVA(t, filepath.Join(c.dir, "good.ova"), disk, false)
	writeOVA(t, filepath.Join(c.dir, "wrong.ova"), disk, true)
	of := func(ova string, more ...string) []string {
		args := c.deploy(more...)
		args[slices.Index(args, "disk.raw")] = ova
		return args
	}
	c.fails(1, "the digest is wrong", of("wrong.ova", "--state", "wrong", "--name", "wrong", "--object", "cos://us-south/"+testBucket+"/wrong.raw")...)
	if n := c.called("/wrong.raw"); n != 0 {
		t.Errorf("%d requests for an object that must not exist", n)
	}
	c.ok(of("good.ova", "--keep-key", "dek")...)
	c.ok("verify", "--key-file", "dek", "good.ova", "cos://us-south/"+testBucket+"/web.raw")
	c.ok("verify", "--key-file", "dek", "disk.raw", "cos://us-south/"+testBucket+"/web.raw")
}
