package interop

import (
	"path/filepath"
	"strings"
	"testing"
)

// QEMUEncrypt encrypts a disk to LUKS1 with qemu-img, which accepts only UTF-8 passphrases.
func QEMUEncrypt(t testing.TB, d Disk, keyFile string) string {
	t.Helper()
	Need(t, "qemu-img")
	out := filepath.Join(t.TempDir(), d.Name+"-qemu.luks")
	args := []string{"convert", "--object", "secret,id=dek,file=" + keyFile,
		"-f", "raw", "-O", "luks", "-o", "key-secret=dek,iter-time=10", d.Path, out}
	// qemu-img measures the time of PBKDF2, and fails if the CPU clock of the process did not advance.
	// On a fast machine that happens once in five runs.
	const flaky = "Unable to get accurate CPU usage"
	for range 10 {
		r := Run(t, "qemu-img", args...)
		if r.Code == 0 {
			return out
		}
		if !strings.Contains(r.Stderr, flaky) {
			t.Fatalf("exit status %d of %s", r.Code, r)
		}
	}
	t.Fatalf("qemu-img failed ten times: %s", flaky)
	return ""
}

// QEMUDecrypt decrypts a LUKS1 image to a raw one with qemu-img.
func QEMUDecrypt(t testing.TB, image, keyFile string) string {
	t.Helper()
	Need(t, "qemu-img")
	out := filepath.Join(t.TempDir(), "qemu.raw")
	Must(t, "qemu-img", "convert", "--object", "secret,id=dek,file="+keyFile,
		"--image-opts", "driver=luks,key-secret=dek,file.filename="+image, "-O", "raw", out)
	return out
}

// These are exit statuses of [QEMUBoot].
const (
	Booted    = 0 // the guest booted and reported it
	NotBooted = 1
	NotOpened = 3 // wrong passphrase or invalid image
)

// QEMUBoot boots a LUKS1 image in QEMU, which gets the passphrase like a hypervisor. Stdout is the line
// in which the guest reports the content of its disk; see bootable-make.sh. Writes of the guest are
// discarded. args are further arguments of qemu-boot.sh.
func QEMUBoot(t testing.TB, image, keyFile string, args ...string) Result {
	t.Helper()
	NeedBoot(t)
	r := Run(t, script(t, "qemu-boot.sh"), append([]string{image, keyFile}, args...)...)
	if r.Code != Booted && r.Code != NotBooted && r.Code != NotOpened {
		t.Fatalf("exit status %d of %s", r.Code, r)
	}
	return r
}

// BootableDisk makes a disk that boots a Debian kernel and prints "BOOTED marker=luks-boot-test" on its
// serial line.
func BootableDisk(t testing.TB) Disk {
	t.Helper()
	NeedBoot(t)
	path := filepath.Join(t.TempDir(), "bootable.raw")
	Must(t, script(t, "bootable-make.sh"), path, kernelPackage(t), "80")
	return Disk{Name: "bootable", Path: path, Size: FileSize(t, path)}
}

// kernelPackage returns the path of the Debian kernel that scripts/setup.sh downloads, or "".
func kernelPackage(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(Root(t), ".cache", "linux-image-*-cloud-*.deb"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}
