package interop_test

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	root "github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/internal/interop"
)

// TestDetectForeign checks Detect on files that are not raw disks, made by the programs for their
// formats.
func TestDetectForeign(t *testing.T) {
	interop.Need(t, "gzip", "bzip2", "xz", "zstd", "lz4", "7z", "zip", "tar", "cpio", "gpg", "gpg-agent", "openssl", "qemu-img")
	for _, c := range []struct{ make, want string }{
		{"gzip -c d >f", "a gzip-compressed file"},
		{"bzip2 -1c d >f", "a bzip2-compressed file"},
		{"bzip2 -9c d >f", "a bzip2-compressed file"},
		{"bzip2 -c /dev/null >f", "a bzip2-compressed file"},
		{"xz -0c d >f", "an xz-compressed file"},
		{"xz -0c --format=lzma d >f", "an LZMA-compressed file"},
		{"xz -9c --format=lzma r >f", "an LZMA-compressed file"},
		{"lz4 -qc d >f", "an LZ4-compressed file"},
		{"lz4 -qlc d >f", "an LZ4-compressed file (legacy)"},
		{"zstd -qc d >f", "a zstd-compressed file"},
		{"7z a -bd x.7z d >/dev/null && mv x.7z f", "a 7z archive"},
		{"zip -q x.zip d && mv x.zip f", "a zip archive"},
		{"tar --format=v7 -cf f d", "a tar archive (old format)"},
		{"tar --format=ustar -cf f d", "a tar archive"},
		{"tar --format=gnu -cf f d", "a tar archive"},
		{"tar --format=pax -cf f d", "a tar archive"},
		{"touch x.ovf && tar --format=ustar -cf f x.ovf d", "an OVA, a tar archive"},
		{"echo d | cpio -o --quiet >f", "a cpio archive (binary)"},
		{"echo d | cpio -o --quiet -H newc >f", "a cpio archive"},
		{"echo d | cpio -o --quiet -H odc >f", "a cpio archive"},
		{"GNUPGHOME=. gpg -q --batch --pinentry-mode loopback --passphrase x -o f -c d", "a file encrypted with PGP"},
		{"GNUPGHOME=. gpg -q --batch --pinentry-mode loopback --passphrase x --armor -o f -c d", "a PGP message"},
		{"openssl enc -aes-256-cbc -pbkdf2 -pass pass:x -in d -out f", "a file encrypted with openssl enc"},
		{"qemu-img create -q -f qed f 1M", "a QED disk image"},
		{"qemu-img create -q -f parallels f 1M", "a Parallels disk image"},
		{"qemu-img create -q -f qcow f 1M", "a qcow disk image (version 1)"},
	} {
		dir := t.TempDir()
		interop.WriteFile(t, filepath.Join(dir, "d"), make([]byte, 1<<20))
		noise := make([]byte, 1<<20)
		rand.NewChaCha8([32]byte{}).Read(noise)
		interop.WriteFile(t, filepath.Join(dir, "r"), noise)
		_, err := detect(t, dir, c.make)
		f := new(root.ForeignError)
		if assert.ErrorAs(t, err, &f, c.make) {
			assert.Equal(t, c.want, f.Name, c.make)
		}
	}
}

// TestDetectRaw checks that raw disks of many kinds are not mistaken for another format.
func TestDetectRaw(t *testing.T) {
	interop.Need(t, "sfdisk", "mke2fs", "mkfs.xfs", "mkfs.btrfs", "mkfs.vfat", "mkswap", "/usr/lib/syslinux/mbr/mbr.bin")
	for _, make := range []string{
		"truncate -s 4M f",
		"head -c 4M /dev/urandom >f",
		"truncate -s 4M f && mke2fs -q -F f",
		"truncate -s 320M f && mkfs.xfs -q f",
		"truncate -s 320M f && mkfs.btrfs -q f",
		"truncate -s 4M f && mkfs.vfat f",
		"truncate -s 4M f && mkswap -q f",
		"truncate -s 4M f && echo size=1M | sfdisk -q -X dos f",
		"truncate -s 4M f && echo size=1M | sfdisk -q -X gpt f",
		"truncate -s 40M f && echo size=10M | sfdisk -q -X sgi f",
		"truncate -s 40M f && echo size=10M | sfdisk -q -X sun f",
		"truncate -s 4M f && echo size=1M | sfdisk -q -X dos f && dd if=/usr/lib/syslinux/mbr/mbr.bin of=f conv=notrunc",
		"truncate -s 4M f && echo size=1M | sfdisk -q -X gpt f && dd if=/usr/lib/syslinux/mbr/gptmbr.bin of=f conv=notrunc",
		"truncate -s 4M f && echo size=1M | sfdisk -q -X dos f && head -c 440 /usr/lib/syslinux/mbr/altmbr.bin | dd of=f conv=notrunc",
	} {
		format, err := detect(t, t.TempDir(), make)
		assert.NoError(t, err, make)
		assert.Equal(t, root.Raw, format, make)
	}
}

// detect runs a command in dir that makes the file f, and returns the detected format of f.
func detect(t *testing.T, dir, command string) (root.Format, error) {
	t.Helper()
	c := exec.Command("sh", "-c", command)
	c.Dir = dir
	c.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s: %s", command, out)
	f, err := os.Open(filepath.Join(dir, "f"))
	require.NoError(t, err)
	defer f.Close()
	fi, err := f.Stat()
	require.NoError(t, err)
	return root.Detect(f, fi.Size())
}
