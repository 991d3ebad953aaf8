package luks_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/luks"
)

// haveCryptsetup reports whether cryptsetup is installed. If all tests must run, a missing cryptsetup
// is a failure.
func haveCryptsetup(t *testing.T) bool {
	t.Helper()
	_, err := need.Path("cryptsetup")
	if err != nil && need.All() {
		t.Fatal("cryptsetup is not installed (scripts/setup.sh does it)")
	}
	return err == nil
}

// cryptsetup reports whether the real program accepts an image: whether it shows the header, and opens
// a key slot with passphrase.
func cryptsetup(t *testing.T, img, passphrase []byte) bool {
	t.Helper()
	return cryptsetupRun(t, img, nil, "luksDump") == nil && cryptsetupRun(t, img, passphrase, "open", "--test-passphrase") == nil
}

// cryptsetupRun runs the real program on a copy of an image, because it repairs headers. passphrase can
// be nil.
func cryptsetupRun(t *testing.T, img, passphrase []byte, args ...string) error {
	t.Helper()
	dir := t.TempDir()
	image, key := filepath.Join(dir, "image"), filepath.Join(dir, "key")
	args = append([]string{"-q", "--disable-locks"}, args...)
	if passphrase != nil {
		if err := os.WriteFile(key, passphrase, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--key-file", key)
	}
	if err := os.WriteFile(image, img, 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := need.Path("cryptsetup")
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(program, append(args, image)...).Run()
}

// TestVerdicts compares the refusals of this package with those of the real cryptsetup, case by case.
// The table has a reason for each difference.
func TestVerdicts(t *testing.T) {
	need.Program(t, "cryptsetup")
	verdict := func(name string, img []byte, why string) {
		if took := cryptsetup(t, img, passphrase); took != (why != "") {
			t.Errorf("%s: cryptsetup accepts it: %v; the table says: %q", name, took, why)
		}
	}
	v1 := write(t, random(1, 512), luks.Options{Version: 1, KDF: cheap})
	v2 := write(t, random(1, 512), luks.Options{KDF: luks.KDF{Memory: 32}, DataOffset: 1 << 20})
	if !cryptsetup(t, v1, passphrase) || !cryptsetup(t, v2, passphrase) {
		t.Fatal("cryptsetup does not accept the unchanged images")
	}
	for _, c := range refusalsV1() {
		b := bytes.Clone(v1)
		c.change(b)
		verdict(c.name, b, c.cryptsetup)
	}
	for _, c := range refusalsBinary() {
		b := bytes.Clone(v2)
		c.change(b[:16384])
		c.change(b[16384:32768])
		verdict(c.name, sumCopies(b), c.cryptsetup)
	}
	for _, c := range refusalsJSON() {
		verdict(c.String(), c.apply(t, v2), c.cryptsetup)
	}
	// A header that cryptsetup shows must open here too.
	shown := func(name string, img []byte) {
		if _, err := luks.Open(bytes.NewReader(img), int64(len(img)), luks.OpenOptions{}); err != nil && cryptsetupRun(t, img, nil, "luksDump") == nil {
			t.Errorf("%s: cryptsetup shows the header: %v", name, err)
		}
	}
	for _, c := range append(refusalsJSON(), oddParts()...) {
		shown(c.String(), c.apply(t, v2))
	}
	for _, c := range refusalsV1() {
		b := bytes.Clone(v1)
		c.change(b)
		shown(c.name, b)
	}
}
