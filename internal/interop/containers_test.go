//go:build linux

package interop_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/luksimg/luksimg/internal/interop"
)

// TestQCOW2 checks the images of the profile vpc-qcow2 with qemu-img check, compare and info, for each
// kind of source. It also reads encrypted images made by qemu-img.
func TestQCOW2(t *testing.T) {
	t.Parallel()
	interop.Need(t, "qemu-img", "mke2fs", "sfdisk")
	keyFile, dir := interop.KeyFile(t, dek), t.TempDir()
	secret := "secret,id=dek,file=" + keyFile
	image := func(name string) string { return "driver=qcow2,encrypt.key-secret=dek,file.filename=" + name }
	d := interop.MBRDisk(t)
	for _, source := range sources {
		src, dst := source.make(t, d), filepath.Join(dir, source.name+".qcow2")
		mustLuksimg(t, "encrypt", "--profile", "vpc-qcow2", "--key-file", keyFile, "--verify", src, dst)
		r := interop.Must(t, "qemu-img", "check", "--object", secret, "--image-opts", image(dst))
		assert.Contains(t, r.Stdout, "No errors were found on the image.")
		interop.Must(t, "qemu-img", "compare", "--object", secret, "--image-opts", "driver=raw,file.filename="+d.Path, image(dst))
		var info struct {
			VirtualSize    int64 `json:"virtual-size"`
			Encrypted      bool
			FormatSpecific struct {
				Data struct {
					Encrypt struct{ Format, Cipher string }
				}
			} `json:"format-specific"`
		}
		require.NoError(t, json.Unmarshal([]byte(interop.Must(t, "qemu-img", "info", "--output=json", dst).Stdout), &info))
		assert.True(t, info.Encrypted)
		assert.Equal(t, (d.Size+511)/512*512, info.VirtualSize)
		assert.Equal(t, "luks", info.FormatSpecific.Data.Encrypt.Format)
	}
	// luksimg reads images made by qemu-img.
	theirs := filepath.Join(dir, "theirs.qcow2")
	for range 10 { // see QEMUEncrypt
		if r := interop.Run(t, "qemu-img", "convert", "--object", secret, "-f", "raw", "-O", "qcow2",
			"-o", "encrypt.format=luks,encrypt.key-secret=dek,encrypt.iter-time=10", d.Path, theirs); r.Code == 0 {
			break
		}
	}
	mustLuksimg(t, "verify", "--key-file", keyFile, d.Path, theirs)
	enc := filepath.Join(dir, "luks1")
	encrypt(t, theirs, enc, keyFile, append([]string{"--source-key-file", keyFile}, shapes[0].args...)...)
	mustLuksimg(t, "verify", "--key-file", keyFile, d.Path, enc)
}

// TestQCOW2Boots boots a server from an encrypted qcow2 image.
func TestQCOW2Boots(t *testing.T) {
	t.Parallel()
	interop.NeedBoot(t)
	interop.Need(t, "qemu-img")
	keyFile := interop.KeyFile(t, dek)
	disk := interop.BootableDisk(t)
	dst := filepath.Join(t.TempDir(), "disk.qcow2")
	mustLuksimg(t, "encrypt", "--profile", "vpc-qcow2", "--key-file", keyFile, disk.Path, dst)
	checkBoots(t, dst, keyFile, "--format", "qcow2")
}

// TestEncryptedVHD decrypts the sectors of an encrypted VHD with OpenSSL. It reads the sectors through
// qemu-img, which resolves the block allocation table.
func TestEncryptedVHD(t *testing.T) {
	t.Parallel()
	interop.Need(t, "qemu-img", "cc", "/usr/include/openssl/evp.h", "mke2fs", "sfdisk")
	dir, d := t.TempDir(), interop.MBRDisk(t)
	decrypt := filepath.Join(dir, "xts-decrypt")
	interop.Must(t, "cc", "-O2", "-o", decrypt, filepath.Join(interop.Root(t), "internal", "interop", "openssl", "xts-decrypt.c"), "-lcrypto")
	plain, err := os.ReadFile(d.Path)
	require.NoError(t, err)
	plain = append(plain, make([]byte, (512-len(plain)%512)%512)...)
	for bits, n := range map[string]int{"128": 32, "256": 64} {
		key := make([]byte, n)
		for i := range key {
			key[i] = byte(i*7 + n)
		}
		keyFile, dst := filepath.Join(dir, "key"+bits), filepath.Join(dir, bits+".vhd")
		require.NoError(t, os.WriteFile(keyFile, key, 0o600))
		mustLuksimg(t, "encrypt", "--profile", "classic-vhd", "--key-file", keyFile, "--verify", d.Path, dst)

		// qemu-img treats the encrypted sectors as data.
		raw := filepath.Join(dir, bits+".raw")
		interop.Must(t, "qemu-img", "convert", "-f", "vpc", "-O", "raw", dst, raw)
		in, err := os.Open(raw)
		require.NoError(t, err)
		defer in.Close()
		c := exec.Command(decrypt, keyFile)
		c.Stdin = in
		got, err := c.Output()
		require.NoError(t, err)
		assert.True(t, bytes.Equal(plain, got), "AES-%s: OpenSSL decrypts other bytes", bits)
	}
}

// TestPlainContainers compares plain VHD and qcow2 images with the disk, using qemu-img.
func TestPlainContainers(t *testing.T) {
	t.Parallel()
	interop.Need(t, "qemu-img", "mke2fs", "sfdisk")
	dir, d := t.TempDir(), interop.MBRDisk(t)
	for name, c := range map[string]struct {
		format string
		args   []string
	}{
		"dynamic": {"vpc", []string{"--format", "vhd"}},
		"fixed":   {"vpc", []string{"--format", "vhd", "--fixed"}},
		"qcow2":   {"qcow2", []string{"--format", "qcow2"}},
		"zlib":    {"qcow2", []string{"--format", "qcow2", "--compression", "zlib"}},
		"zstd":    {"qcow2", []string{"--format", "qcow2", "--compression", "zstd", "--cluster-size", "1M"}},
	} {
		dst := filepath.Join(dir, name)
		mustLuksimg(t, append(append([]string{"convert"}, c.args...), d.Path, dst)...)
		interop.Must(t, "qemu-img", "compare", "-f", "raw", "-F", c.format, d.Path, dst)
		if c.format == "qcow2" {
			interop.Must(t, "qemu-img", "check", dst)
		}
	}
}

// TestConvertedBoots boots a server from a VMDK and from a VHDX.
func TestConvertedBoots(t *testing.T) {
	t.Parallel()
	d := interop.BootableDisk(t)
	for _, format := range []string{"vmdk", "vhdx"} {
		dst := filepath.Join(t.TempDir(), "disk."+format)
		mustLuksimg(t, "convert", "--format", format, d.Path, dst)
		r := interop.QEMUBoot(t, dst, interop.KeyFile(t, "not used"), "--format", format)
		require.Equal(t, interop.Booted, r.Code, r)
		assert.Contains(t, r.Stdout, "BOOTED marker=luks-boot-test root=/dev/vda2")
	}
}
