package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDeployChecksum checks that a disk with another checksum than the published one is not uploaded or imported.
// With the right checksum the deployment continues.
func TestDeployChecksum(t *testing.T) {
	w := ready(t)
	b, err := os.ReadFile(filepath.Join(w.dir, "disk.raw"))
	if err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(b))
	wrong := strings.Repeat("00", 32)
	w.fails(1, "the checksum differs", w.deploy("--source-sha256", wrong)...)
	w.fails(1, "the checksum differs", w.deploy("--source-sha256", wrong)...)
	if n := w.called("/images/web.raw"); n != 0 {
		t.Errorf("%d requests for the object", n)
	}
	sums := filepath.Join(t.TempDir(), "SHA256SUMS")
	if err := os.WriteFile(sums, []byte(sum+"  disk.raw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.one(w.ok(w.deploy("--sha256-file", sums)...), 0)
	w.one(w.ok(w.deploy("--sha256-file", sums)...), 0)
	w.one(w.ok(w.deploy()...), 0)
	w.fails(1, "the checksum of", w.deploy("--source-sha256", wrong)...)
}

// TestDeployWeb deploys from a URL whose signature can differ each time. The state must not contain the signature.
func TestDeployWeb(t *testing.T) {
	w := ready(t)
	s := httptest.NewServer(&webServer{dir: http.Dir(w.dir)})
	defer s.Close()
	args := func(address string, more ...string) []string {
		a := w.deploy(more...)
		for i := range a {
			if a[i] == "disk.raw" {
				a[i] = s.URL + address
			}
		}
		return a
	}
	if code, _, errs := w.run("luksimg-killed", append([]string{"encrypt", "done"}, args("/signed/disk.raw?signature=hush")...)...); code > 0 {
		t.Fatal(errs)
	}
	state, err := os.ReadFile(filepath.Join(w.dir, "web.deploy.json"))
	if err != nil || strings.Contains(string(state), "hush") || !strings.Contains(string(state), "/signed/disk.raw?...") {
		t.Errorf("%v: %s", err, state)
	}
	w.one(w.ok(args("/signed/disk.raw?signature=hush")...), 0)
	w.fails(1, "a different SRC", args("/ok/disk.raw")...)
	w.fails(4, "forbidden", args("/signed/disk.raw?signature=old")...)
}
