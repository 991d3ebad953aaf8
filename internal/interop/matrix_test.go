//go:build linux

package interop_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	root "github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/interop"
	"github.com/luksimg/luksimg/luks"
	_ "github.com/luksimg/luksimg/luks/ciphers"
)

// variant is a kind of image that cryptsetup and luksimg make for each other.
type variant struct {
	version int
	cipher  string
	keySize int // bytes
	sector  int
	hash    string
	kdf     string
	// For LUKS2: sizes of the metadata area and the keyslots area in bytes, or 0.
	metadata, keyslots int64
}

func (v variant) String() string {
	s := fmt.Sprintf("luks%d %s %d", v.version, v.cipher, v.keySize*8)
	if v.sector != 512 {
		s += fmt.Sprintf(" sector %d", v.sector)
	}
	s += " " + v.hash + " " + v.kdf
	if v.metadata+v.keyslots > 0 {
		s += fmt.Sprintf(" metadata %d keyslots %d", v.metadata, v.keyslots)
	}
	return s
}

// matrix returns images with every cipher in both versions, every sector size, hash, key derivation
// function and layout.
func matrix() []variant {
	var all []variant
	add := func(v variant) {
		if v.sector == 0 {
			v.sector = 512
		}
		if v.hash == "" {
			v.hash = "sha256"
		}
		if v.kdf == "" {
			v.kdf = "pbkdf2"
		}
		all = append(all, v)
	}
	for _, c := range []struct {
		cipher string
		keys   []int
	}{
		{"aes-xts-plain64", []int{32, 64}},
		{"aes-xts-plain", []int{64}},
		{"aes-xts-essiv:sha256", []int{64}},
		{"aes-xts-plain64be", []int{32}},
		{"aes-cbc-essiv:sha256", []int{16, 24, 32}},
		{"aes-cbc-plain", []int{32}},
		{"aes-cbc-plain64", []int{16, 32}},
		{"aes-cbc-plain64be", []int{32}},
		{"aes-ctr-plain64", []int{32}},
		{"aes-ecb", []int{32}},
		{"serpent-xts-plain64", []int{32, 64}},
		{"serpent-cbc-essiv:sha256", []int{32}},
		{"twofish-xts-plain64", []int{32, 64}},
		{"twofish-cbc-plain64", []int{24}},
		{"camellia-xts-plain64", []int{32, 64}},
		{"camellia-cbc-essiv:sha256", []int{16}},
	} {
		for _, n := range c.keys {
			add(variant{version: 1, cipher: c.cipher, keySize: n})
			add(variant{version: 2, cipher: c.cipher, keySize: n})
		}
	}
	for _, c := range []string{"xchacha12,aes-adiantum-plain64", "xchacha20,aes-adiantum-plain64"} {
		for _, sector := range []int{512, 4096} {
			add(variant{version: 2, cipher: c, keySize: 32, sector: sector})
		}
	}
	for _, sector := range []int{1024, 2048, 4096} {
		add(variant{version: 2, cipher: "aes-xts-plain64", keySize: 64, sector: sector})
		add(variant{version: 2, cipher: "aes-xts-plain", keySize: 32, sector: sector})
		add(variant{version: 2, cipher: "serpent-xts-plain64", keySize: 64, sector: sector})
	}
	for _, sector := range []int{1024, 4096} {
		add(variant{version: 2, cipher: "aes-cbc-essiv:sha256", keySize: 32, sector: sector})
	}
	for _, h := range []string{"sha1", "sha224", "sha384", "sha512", "sha3-256", "sha3-512", "ripemd160", "whirlpool", "blake2b-512", "blake2s-256"} {
		add(variant{version: 1, cipher: "aes-xts-plain64", keySize: 64, hash: h})
		add(variant{version: 2, cipher: "aes-xts-plain64", keySize: 64, hash: h})
	}
	for _, kdf := range []string{"argon2i", "argon2id"} {
		for _, sector := range []int{512, 4096} {
			add(variant{version: 2, cipher: "aes-xts-plain64", keySize: 64, sector: sector, kdf: kdf})
		}
	}
	for _, m := range []int64{16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20} {
		add(variant{version: 2, cipher: "aes-xts-plain64", keySize: 64, metadata: m, keyslots: 512 << 10})
	}
	return all
}

// formatArgs returns the arguments of cryptsetup luksFormat.
func (v variant) formatArgs() []string {
	args := []string{"--type", fmt.Sprintf("luks%d", v.version), "--cipher", v.cipher,
		"--key-size", fmt.Sprint(v.keySize * 8), "--hash", v.hash}
	if v.kdf == "pbkdf2" {
		args = append(args, "--pbkdf-force-iterations", "1000")
	} else {
		args = append(args, "--pbkdf-force-iterations", "4", "--pbkdf-memory", "1024", "--pbkdf-parallel", "1")
	}
	if v.version == 1 {
		return args
	}
	args = append(args, "--pbkdf", v.kdf, "--sector-size", fmt.Sprint(v.sector))
	metadata, keyslots := v.layout()
	return append(args, "--luks2-metadata-size", fmt.Sprint(metadata), "--luks2-keyslots-size", fmt.Sprint(keyslots))
}

// layout returns the sizes of the areas of a LUKS2 header, small ones by default.
func (v variant) layout() (metadata, keyslots int64) {
	if v.metadata+v.keyslots > 0 {
		return v.metadata, v.keyslots
	}
	return 16 << 10, 512 << 10
}

func (v variant) options() luks.Options {
	o := luks.Options{Version: v.version, Cipher: v.cipher, KeySize: v.keySize, SectorSize: v.sector, Hash: v.hash,
		KDF: luks.KDF{Type: v.kdf, Iterations: 1000}}
	if v.kdf != "pbkdf2" {
		o.KDF = luks.KDF{Type: v.kdf, Iterations: 4, Memory: 1024, Parallel: 1}
	}
	if v.version == 2 {
		o.MetadataSize, o.KeyslotsSize = v.layout()
	}
	return o
}

// matrixPlain makes the disk of the matrix. Its size is a multiple of every sector size.
func matrixPlain(t *testing.T) interop.Disk {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plain")
	text := strings.Repeat("every sector of this disk is different from the one before it\n", 2000)
	b := []byte(text)[:96<<10]
	for i := 0; i < len(b); i += 512 {
		copy(b[i:], fmt.Sprintf("sector %d ", i/512))
	}
	interop.WriteFile(t, path, b)
	return interop.Disk{Name: "matrix", Path: path, Size: int64(len(b))}
}

// TestMatrixFromCryptsetup checks that luksimg reads every kind of image that cryptsetup and the kernel
// write.
func TestMatrixFromCryptsetup(t *testing.T) {
	t.Parallel()
	interop.NeedGuest(t)
	disk, dir, keyFile := matrixPlain(t), t.TempDir(), interop.KeyFile(t, dek)
	variants := matrix()
	var jobs []interop.MakeJob
	for i, v := range variants {
		offset := int64(2 << 20)
		if v.version == 2 {
			metadata, keyslots := v.layout()
			offset = (2*metadata + keyslots + 1<<20 - 1) >> 20 << 20
		}
		jobs = append(jobs, interop.MakeJob{Out: filepath.Join(dir, fmt.Sprint(i)), Size: offset + disk.Size,
			KeyFile: keyFile, Plain: disk.Path, Format: v.formatArgs()})
	}
	for i, m := range interop.GuestMake(t, jobs...) {
		t.Run(variants[i].String(), func(t *testing.T) {
			require.Equal(t, 0, m.Status, "%+v", m)
			f, err := os.Open(jobs[i].Out)
			require.NoError(t, err)
			defer f.Close()
			h, err := luks.Open(f, jobs[i].Size, luks.OpenOptions{})
			require.NoError(t, err)
			vol, err := h.Unlock(t.Context(), []byte(dek))
			require.NoError(t, err)
			defer vol.Close()
			// LUKS1 with short keys has its data at 1 MiB, which leaves space for a longer disk.
			assert.Equal(t, m.Size, vol.Size())
			out := filepath.Join(t.TempDir(), "plain")
			decryptTo(t, out, vol)
			assert.Equal(t, m.SHA256, interop.FileSHA256(t, out))
		})
	}
}

func decryptTo(t *testing.T, path string, src image.Source) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	_, err = root.Decrypt(context.Background(), f, src, root.DecryptOptions{})
	require.NoError(t, err)
}

// TestMatrixToCryptsetup checks that cryptsetup and the kernel read every kind of image that luksimg
// writes.
func TestMatrixToCryptsetup(t *testing.T) {
	t.Parallel()
	interop.NeedGuest(t)
	disk, dir, keyFile := matrixPlain(t), t.TempDir(), interop.KeyFile(t, dek)
	plain, err := os.Open(disk.Path)
	require.NoError(t, err)
	defer plain.Close()
	src, err := image.NewFile(plain)
	require.NoError(t, err)
	var variants []variant
	var jobs []interop.OpenJob
	for i, v := range matrix() {
		path := filepath.Join(dir, fmt.Sprint(i))
		f, err := os.Create(path)
		require.NoError(t, err)
		_, err = root.Encrypt(context.Background(), f, src, []byte(dek), root.EncryptOptions{LUKS: v.options()})
		require.NoError(t, err, v)
		require.NoError(t, f.Close())
		variants = append(variants, v)
		jobs = append(jobs, interop.OpenJob{Image: path, KeyFile: keyFile, Type: fmt.Sprintf("luks%d", v.version)})
	}
	for i, o := range interop.GuestOpen(t, jobs...) {
		t.Run(variants[i].String(), func(t *testing.T) {
			require.Equal(t, 0, o.Status, "%+v", o)
			assert.Equal(t, disk.Size, o.Size)
			assert.Equal(t, disk.SHA256(t, disk.Size), o.SHA256)
			interop.CheckHeaders(t, jobs[i].Image)
		})
	}
}
