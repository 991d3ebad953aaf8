//go:build linux

package interop_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/luksimg/luksimg/internal/interop"
)

// The tests in this file check independent programs against each other, with the functions that also
// check luksimg's images. The results for luksimg count only if these programs agree.

// foreign makes images with qemu-img and cryptsetup.
func foreign(t *testing.T) []interop.Image {
	t.Helper()
	interop.NeedGuest(t)
	interop.Need(t, "qemu-img")
	mbr := interop.MBRDisk(t)
	return append(interop.CryptsetupImages(t, mbr, interop.WholeDisk(t)), interop.QEMUImage(t, mbr))
}

// readFile returns the content of a file as a string.
func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

func TestForeignImages(t *testing.T) {
	t.Parallel()
	images := foreign(t)
	wrong := interop.KeyFile(t, "wrong")
	var jobs []interop.OpenJob
	for _, f := range images {
		jobs = append(jobs, interop.OpenJob{Image: f.Path, Header: f.Header, KeyFile: f.KeyFile, FS: true})
		jobs = append(jobs, interop.OpenJob{Image: f.Path, Header: f.Header, KeyFile: wrong})
	}
	opened := interop.GuestOpen(t, jobs...)

	for i, f := range images {
		t.Run(f.Name, func(t *testing.T) {
			checkImage(t, f, opened[2*i])
			assert.Equal(t, interop.CryptsetupWrongPassphrase, opened[2*i+1].Status)
		})
	}
}

// checkImage checks an image, which dm-crypt has opened, with every program. All must read the same
// plaintext, and reject a wrong passphrase.
func checkImage(t *testing.T, f interop.Image, o interop.Opened) {
	t.Helper()
	checkOpened(t, o, f.Plain, f.Size)
	if f.Header != "" {
		return // the rest needs an image in one file
	}
	wrong := interop.KeyFile(t, "wrong")
	interop.CheckHeaders(t, f.Path)
	assert.Equal(t, interop.CryptsetupOK, interop.TestPassphrase(t, f.Path, f.KeyFile, f.Type()))
	assert.Equal(t, interop.CryptsetupWrongPassphrase, interop.TestPassphrase(t, f.Path, wrong, f.Type()))
	checkLUKSGo(t, f)

	// cryptsetup decrypts LUKS2 without a kernel, and LUKS1 after a conversion. QEMU's images cannot be
	// converted: they have no space for the larger header.
	image := f.Path
	if f.Version == 1 {
		if f.Name == interop.QEMUName {
			return
		}
		image = interop.ConvertToLUKS2(t, image)
		assert.Equal(t, interop.CryptsetupOK, interop.TestPassphrase(t, image, f.KeyFile, "luks2"))
	}
	checkPlain(t, interop.DecryptLUKS2(t, image, f.KeyFile), f.Plain)
}

// checkOpened fails the test unless dm-crypt showed the disk d on a device of size bytes, with a valid
// filesystem and all its files.
func checkOpened(t *testing.T, o interop.Opened, d interop.Disk, size int64) {
	t.Helper()
	require.Equal(t, 0, o.Status, "%+v", o)
	assert.Equal(t, size, o.Size)
	assert.Equal(t, d.SHA256(t, size), o.SHA256)
	assert.Equal(t, []int{0}, o.Fsck, "e2fsck")
	assert.Subset(t, o.Files, interop.Files)
	partitions := map[string]string{"mbr": "dos", "gpt": "gpt", "whole": ""}
	assert.Equal(t, partitions[d.Name], o.Partitions)
}

// checkLUKSGo fails the test unless luks.go opens the image, decrypts the expected data, and finds the
// same key as cryptsetup.
func checkLUKSGo(t *testing.T, f interop.Image) {
	t.Helper()
	v := interop.LUKSGoOpen(t, f.Path, readFile(t, f.KeyFile))
	require.NotNil(t, v, "luks.go: wrong passphrase")
	assert.Equal(t, f.Type(), strings.ToLower(v.Type))
	assert.Equal(t, f.SectorSize, v.SectorSize)
	assert.Equal(t, f.Size, v.Size)
	assert.Equal(t, f.SHA256, v.SHA256)
	assert.Equal(t, interop.VolumeKey(t, f.Path, f.KeyFile), v.Key)
	assert.Nil(t, interop.LUKSGoOpen(t, f.Path, "wrong"))
}

// checkPlain fails the test unless the file starts with the disk.
func checkPlain(t *testing.T, path string, d interop.Disk) {
	t.Helper()
	require.GreaterOrEqual(t, interop.FileSize(t, path), d.Size)
	require.NoError(t, os.Truncate(path, d.Size))
	assert.Equal(t, d.SHA256(t, d.Size), interop.FileSHA256(t, path))
}

// TestForeignLUKS1InQEMU checks that qemu-img reads its own images and those of cryptsetup.
func TestForeignLUKS1InQEMU(t *testing.T) {
	t.Parallel()
	interop.NeedGuest(t)
	d := interop.MBRDisk(t)
	f := interop.QEMUImage(t, d)
	checkPlain(t, interop.QEMUDecrypt(t, f.Path, f.KeyFile), d)

	made := interop.MakeJob{Out: f.Path + "-cryptsetup", Size: d.Size + 2<<20, KeyFile: f.KeyFile, Plain: d.Path,
		Format: []string{"--type", "luks1", "--pbkdf-force-iterations", "1000"}}
	require.Equal(t, 0, interop.GuestMake(t, made)[0].Status)
	checkPlain(t, interop.QEMUDecrypt(t, made.Out, made.KeyFile), d)
}

// TestForeignBoots boots a disk that qemu-img encrypted, as the hypervisor of a cloud does.
func TestForeignBoots(t *testing.T) {
	t.Parallel()
	interop.NeedBoot(t)
	interop.Need(t, "qemu-img")
	f := interop.QEMUImage(t, interop.BootableDisk(t))
	checkBoots(t, f.Path, f.KeyFile)
}

// checkBoots fails the test unless the image boots with its passphrase and does not open with another.
// args are further arguments of qemu-boot.sh.
func checkBoots(t *testing.T, image, keyFile string, args ...string) {
	t.Helper()
	r := interop.QEMUBoot(t, image, keyFile, args...)
	require.Equal(t, interop.Booted, r.Code, r)
	assert.Contains(t, r.Stdout, "BOOTED marker=luks-boot-test root=/dev/vda2")

	r = interop.QEMUBoot(t, image, interop.KeyFile(t, "wrong"), args...)
	assert.Equal(t, interop.NotOpened, r.Code, r)
	assert.Contains(t, r.Stderr, "Invalid password")
}
