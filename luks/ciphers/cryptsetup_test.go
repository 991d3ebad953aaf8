//go:build linux

package ciphers_test

import (
	"bytes"
	"crypto/pbkdf2"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/internal/dmcrypt"
	"github.com/luksimg/luksimg/internal/interop"
)

// headerHashes are the hash names that cryptsetup accepts if it is built with OpenSSL. Other libraries
// support some of them, and a few more.
var headerHashes = []string{
	"sha1", "sha224", "sha256", "sha384", "sha512", "sha512-224", "sha512-256",
	"sha3-224", "sha3-256", "sha3-384", "sha3-512",
	"ripemd160", "rmd160", "ripemd", "whirlpool",
	"blake2b-512", "blake2b512", "blake2s-256", "blake2s256",
}

// TestHeaderHashes lets cryptsetup make a LUKS1 header with every hash, and recomputes its digest.
func TestHeaderHashes(t *testing.T) {
	interop.Need(t, "cryptsetup")
	key := secret("volume key", 32)
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, key, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range headerHashes {
		t.Run(name, func(t *testing.T) {
			image := filepath.Join(t.TempDir(), "image")
			if err := os.WriteFile(image, make([]byte, 4<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			interop.Must(t, "cryptsetup", "luksFormat", "-q", "--type", "luks1", "--hash", name, "--key-size", "256",
				"--pbkdf-force-iterations", "1000", "--volume-key-file", keyFile, image, keyFile)
			header, err := os.ReadFile(image)
			if err != nil {
				t.Fatal(err)
			}
			// LUKS1 on-disk format, table 1.
			got := string(bytes.TrimRight(header[72:104], "\x00"))
			digest, salt, iterations := header[112:132], header[132:164], binary.BigEndian.Uint32(header[164:])
			newHash, err := dmcrypt.Hash(got)
			if err != nil {
				t.Fatal(err)
			}
			want, err := pbkdf2.Key(newHash, string(key), salt, int(iterations), len(digest))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(digest, want) {
				t.Errorf("%s: digest %x, cryptsetup has %x", got, want, digest)
			}
		})
	}
}
