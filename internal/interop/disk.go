package interop

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	mib        = 1 << 20
	sectorSize = 512
)

// Disk is a plain, sparse raw disk image.
type Disk struct {
	Name string
	Path string
	Size int64
}

// Marker is the content of the file etc/marker in the filesystem of every disk.
const Marker = "luksimg interop test\n"

// Files are names of files in the filesystem of the test disks.
var Files = []string{"etc/marker", "var/noise", "var/text"}

// MBRDisk makes a disk with an MBR and one partition with an ext4 filesystem. The last sector, behind
// the partition, has data too.
func MBRDisk(t testing.TB) Disk {
	t.Helper()
	return partitioned(t, "mbr", 40*mib, "label: dos\nstart=2048, size=%d, type=83\n")
}

// GPTDisk makes a disk with a GUID partition table and one partition with an ext4 filesystem. The
// backup table is in the last sectors.
func GPTDisk(t testing.TB) Disk {
	t.Helper()
	return partitioned(t, "gpt", 34*mib, "label: gpt\nstart=2048, size=%d, type=L\n")
}

// WholeDisk makes a disk without a partition table, with an ext4 filesystem of 4 KiB blocks. The
// filesystem is also valid on a device with 4096-byte sectors. The disk is one 512-byte sector longer
// than the filesystem, so that a device with larger sectors needs padding.
func WholeDisk(t testing.TB) Disk {
	t.Helper()
	Need(t, "mke2fs")
	d := newDisk(t, "whole", 32*mib+sectorSize)
	makeExt4(t, d.Path, 32*mib, 4096)
	d.markEnd(t)
	return d
}

func newDisk(t testing.TB, name string, size int64) Disk {
	t.Helper()
	d := Disk{Name: name, Path: filepath.Join(t.TempDir(), name+".raw"), Size: size}
	truncate(t, d.Path, size)
	return d
}

// partitioned makes a disk with one partition, from the first MiB to the last. layout is a format
// string for the input of sfdisk, and gets the sectors of the partition.
func partitioned(t testing.TB, name string, size int64, layout string) Disk {
	t.Helper()
	Need(t, "mke2fs", "sfdisk")
	d := newDisk(t, name, size)
	part := size - 2*mib
	description := filepath.Join(t.TempDir(), "layout")
	WriteFile(t, description, []byte(fmt.Sprintf(layout, part/sectorSize)))
	Must(t, "sh", "-c", `PATH=$PATH:/usr/sbin:/sbin exec sfdisk -q "$1" <"$2"`, "sh", d.Path, description)
	fs := filepath.Join(t.TempDir(), "ext4")
	// A device with larger sectors cannot read blocks of 1 KiB, so a mistake would show.
	makeExt4(t, fs, part, 1024)
	copySparse(t, d.Path, mib, fs)
	if name == "mbr" {
		d.markEnd(t)
	}
	return d
}

// markEnd writes data to the last sector of the disk.
func (d Disk) markEnd(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile(d.Path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(bytes.Repeat([]byte("the end "), sectorSize/8), d.Size-sectorSize); err != nil {
		t.Fatal(err)
	}
}

// makeExt4 makes a filesystem of size bytes at the start of the file path. It contains text, a hole and
// random data.
func makeExt4(t testing.TB, path string, size int64, block int) {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"etc", "var"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	WriteFile(t, filepath.Join(dir, "etc/marker"), []byte(Marker))
	WriteFile(t, filepath.Join(dir, "var/text"), []byte(strings.Repeat("one line like the others\n", 50000)))
	noise := make([]byte, 5*mib)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	WriteFile(t, filepath.Join(dir, "var/noise"), noise)
	Must(t, "mke2fs", "-q", "-t", "ext4", "-F", "-L", "interop", "-b", fmt.Sprint(block),
		"-d", dir, path, fmt.Sprintf("%dk", size/1024))
}

// VHD converts the disk to a VHD with qemu-img, without changing its size. subformat is "fixed" or
// "dynamic".
func (d Disk) VHD(t testing.TB, subformat string) string {
	t.Helper()
	Need(t, "qemu-img")
	out := filepath.Join(t.TempDir(), d.Name+"-"+subformat+".vhd")
	Must(t, "qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "force_size=on,subformat="+subformat, d.Path, out)
	return out
}

// SHA256 returns the hash of a device of size bytes that shows the disk and then zeros.
func (d Disk) SHA256(t testing.TB, size int64) string {
	t.Helper()
	if size < d.Size {
		t.Fatalf("device of %d bytes is smaller than its disk %s of %d", size, d.Name, d.Size)
	}
	f, err := os.Open(d.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return hashPadded(t, f, size-d.Size)
}

// FileSHA256 returns the SHA-256 hash of a file.
func FileSHA256(t testing.TB, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return hashPadded(t, f, 0)
}

func hashPadded(t testing.TB, r io.Reader, zeros int64) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, io.MultiReader(r, io.LimitReader(zeroReader{}, zeros))); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// FileSize returns the length of a file in bytes.
func FileSize(t testing.TB, path string) int64 {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Size()
}

// WriteFile writes a file that only its owner can read.
func WriteFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// KeyFile makes a file that contains exactly this passphrase.
func KeyFile(t testing.TB, passphrase string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	WriteFile(t, path, []byte(passphrase))
	return path
}

// CopyFile copies a file, for programs that change their input.
func CopyFile(t testing.TB, src string) string {
	t.Helper()
	dst := filepath.Join(t.TempDir(), filepath.Base(src))
	truncate(t, dst, FileSize(t, src))
	copySparse(t, dst, 0, src)
	return dst
}

// copySparse copies the file src to offset off of the file dst, skipping zeros.
func copySparse(t testing.TB, dst string, off int64, src string) {
	t.Helper()
	in, err := os.Open(src)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	buf, zeros := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(in, buf)
		if !bytes.Equal(buf[:n], zeros[:n]) {
			if _, err := out.WriteAt(buf[:n], off); err != nil {
				t.Fatal(err)
			}
		}
		off += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

func truncate(t testing.TB, path string, size int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
}
