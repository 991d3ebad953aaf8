package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestLong repeats tests with files of more than a gibibyte, which are written in another way.
func TestLong(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 2 GiB")
	}
	luksimg, dir := command(t), t.TempDir()
	name := func(n string) string { return filepath.Join(dir, n) }
	f, err := os.Create(name("disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// Most of the disk is a hole.
	const size = 1<<30 + 300<<10 + 512
	r := rand.NewChaCha8([32]byte{2})
	for off, b := int64(0), make([]byte, 5<<20); off < size; off += 150 << 20 {
		r.Read(b)
		if _, err := f.WriteAt(b[:min(int64(len(b)), size-off)], off+off/(1<<20)*512); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	must(t, luksimg, "keygen", name("key"))
	must(t, luksimg, "encrypt", "-q", "--key-file", name("key"), "--format", "luks1", name("disk"), name("luks"))
	must(t, luksimg, "verify", "-q", "--key-file", name("key"), name("disk"), name("luks"))
	must(t, luksimg, "decrypt", "-q", "--key-file", name("key"), name("luks"), name("plain"))
	must(t, luksimg, "verify", "-q", "--key-file", name("key"), name("plain"), name("luks"))
	if fi, err := os.Stat(name("plain")); err != nil || fi.Size() != size {
		t.Errorf("decrypted: %v, %v", fi, err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"disk", "key", "luks", "plain"}) {
		t.Errorf("files remain: %q", got)
	}
}
