package local_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/local"
)

var (
	_ wrap.Wrapper   = (*local.Key)(nil)
	_ wrap.Unwrapper = (*local.Key)(nil)
)

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	root, err := local.Create(filepath.Join(dir, "root.key"))
	if err != nil {
		log.Fatal(err)
	}
	keys, err := wrap.VPCQCOW2.Keys([]byte("abc123"))
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Clear()
	wdek, err := root.Wrap(ctx, keys.Plaintext)
	if err != nil {
		log.Fatal(err)
	}
	back, err := root.Unwrap(ctx, wdek)
	if err != nil {
		log.Fatal(err)
	}
	defer back.Clear()
	disk, err := wrap.VPCQCOW2.Unwrapped(back.Plaintext)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s opens the disk\n", disk)
	// Output: abc123 opens the disk
}

func TestRoundTrip(t *testing.T) {
	name := filepath.Join(t.TempDir(), "root.key")
	made, err := local.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := local.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if made.ID() != opened.ID() || len(made.ID()) != 16 {
		t.Errorf("ids %s and %s", made.ID(), opened.ID())
	}
	raw, err := os.ReadFile(name)
	if err != nil || len(raw) != 32 {
		t.Fatalf("the file has %d bytes, %v", len(raw), err)
	}
	if fi, _ := os.Stat(name); runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v", fi.Mode())
	}
	ctx := context.Background()
	for _, n := range []int{1, 7, 8, 9, 32, 48, 64, 384, 4096} {
		text := []byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, n)))
		wdek, err := made.Wrap(ctx, text)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(wdek, string(text)) {
			t.Errorf("%d bytes: the wrapped key holds the plaintext", n)
		}
		back, err := opened.Unwrap(ctx, wdek)
		if err != nil || !bytes.Equal(back.Plaintext, text) || back.Rewrapped != "" {
			t.Errorf("%d bytes: %q, %v", n, back.Plaintext, err)
		}
	}
	if _, err := local.Create(name); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second key in the same file: %v", err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if s := fmt.Sprintf(verb, made); s != "local:"+made.ID() {
			t.Errorf("%s shows %s", verb, s)
		}
	}
}

func TestUnwrapErrors(t *testing.T) {
	ctx := context.Background()
	key := func(b byte) *local.Key {
		k, err := local.New(bytes.Repeat([]byte{b}, 32))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	secret := base64.StdEncoding.EncodeToString([]byte("a very secret key of many bytes!"))
	wdek, err := key(1).Wrap(ctx, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	blob, _ := base64.StdEncoding.DecodeString(wdek)
	damaged := bytes.Clone(blob)
	damaged[len(damaged)-1] ^= 1
	enc := base64.StdEncoding.EncodeToString
	for name, c := range map[string]struct {
		key   byte
		wdek  string
		other bool
	}{
		"other root key": {2, wdek, true},
		"damaged":        {1, enc(damaged), false},
		"cut off":        {1, enc(blob[:len(blob)-8]), false},
		"magic only":     {1, enc(blob[:4]), false},
		"no magic":       {1, enc(blob[4:]), false},
		"empty":          {1, "", false},
		"newline":        {1, wdek + "\n", false},
		"key protect's":  {1, enc([]byte(`{"ciphertext":"x","iv":"y","version":"4.0.0"}`)), false},
		"long":           {1, strings.Repeat("A", 1<<20), false},
	} {
		_, err := key(c.key).Unwrap(ctx, c.wdek)
		if !errors.Is(err, wrap.ErrWDEK) || errors.Is(err, local.ErrOtherKey) != c.other {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, plain := range []string{"", "not base64!", secret + "\n", strings.Repeat("A", 128<<10)} {
		if _, err := key(1).Wrap(ctx, []byte(plain)); !errors.Is(err, wrap.ErrKey) || plain != "" && strings.Contains(err.Error(), plain) {
			t.Errorf("%.20q: %v", plain, err)
		}
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := key(1).Unwrap(gone, wdek); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := key(1).Wrap(gone, []byte(secret)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, n int, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, make([]byte, n), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	refuse := func(path, want string) {
		t.Helper()
		if _, err := local.Open(path); !errors.Is(err, local.ErrFile) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	refuse(write("short", 31, 0o600), "31 bytes")
	refuse(write("newline", 33, 0o600), "33 bytes")
	refuse(dir, "not a regular file")
	if runtime.GOOS != "windows" {
		refuse(write("group", 32, 0o640), "0640")
		refuse(write("all", 32, 0o644), "0644")
	}
	if _, err := local.Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := local.New(make([]byte, 16)); !errors.Is(err, local.ErrFile) {
		t.Errorf("16 bytes: %v", err)
	}
}

func TestRootKey(t *testing.T) {
	name := filepath.Join(t.TempDir(), "root.key")
	if _, err := local.RootKey("local:" + name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	made, err := local.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	k, err := local.RootKey("local:" + name)
	if err != nil || k.KMS != made.String() || k.CRN != "" || k.String() != made.String() {
		t.Errorf("%+v, %v", k, err)
	}
	for _, kms := range []string{"", name, "local:", "crn:v1"} {
		if _, err := local.RootKey(kms); err == nil || !strings.Contains(err.Error(), "want local:FILE") {
			t.Errorf("%q: %v", kms, err)
		}
	}
}
