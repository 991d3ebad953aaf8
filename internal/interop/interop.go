// Package interop runs the programs that luksimg must agree with: cryptsetup, the kernel's dm-crypt in
// a User-Mode Linux guest, QEMU, and luks.go. It makes disks, and uses those programs to encrypt,
// decrypt, check and boot images. Only tests use it.
//
// Nothing here needs root. A test starts with [Need], [NeedGuest] or [NeedBoot]. If programs are
// missing, these skip the test or fail it, like package need; scripts/setup.sh installs the programs. A
// failing program ends the test, unless its exit status is the result, as for a wrong passphrase.
package interop

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
)

// These are exit statuses of cryptsetup.
const (
	CryptsetupOK              = 0
	CryptsetupInvalid         = 1 // wrong parameters, or not LUKS
	CryptsetupWrongPassphrase = 2
)

// Need skips the test if one of the tools is not installed. An absolute path must name an existing
// file.
func Need(t testing.TB, tools ...string) {
	t.Helper()
	var missing []string
	for _, tool := range tools {
		if _, err := need.Path(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	lack(t, missing)
}

// NeedGuest skips the test if the dm-crypt guest cannot run.
func NeedGuest(t testing.TB) {
	t.Helper()
	Need(t, "linux", "cryptsetup", "dmsetup", "modprobe", "losetup", "blkid", "e2fsck")
}

// NeedBoot skips the test if QEMU cannot boot disks.
func NeedBoot(t testing.TB) {
	t.Helper()
	Need(t, "qemu-system-x86_64", "busybox", "syslinux", "/usr/lib/syslinux/mbr/mbr.bin", "mcopy",
		"mkfs.vfat", "sfdisk", "mke2fs", "modprobe", "cpio", "dpkg-deb")
	if kernelPackage(t) == "" {
		lack(t, []string{".cache/linux-image-*-cloud-*.deb"})
	}
}

// lack skips or fails the test if something is missing.
func lack(t testing.TB, missing []string) {
	t.Helper()
	if len(missing) > 0 {
		need.Lack(t, "not installed (run scripts/setup.sh): "+strings.Join(missing, ", "))
	}
}

// Root returns the root folder of the module.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test's folder")
		}
		dir = filepath.Dir(dir)
	}
}

// script returns the path of a script in the folder guest.
func script(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(Root(t), "internal", "interop", "guest", name)
}

// Result is the result of a program.
type Result struct {
	Command string
	Code    int // exit status
	Stdout  string
	Stderr  string
}

// String formats the result for messages of failed tests.
func (r Result) String() string {
	return r.Command + "\n" + r.Stdout + r.Stderr
}

// Run runs a program to its end. It accepts any exit status.
func Run(t testing.TB, name string, args ...string) Result {
	t.Helper()
	path, err := need.Path(name)
	if err != nil {
		t.Fatal(err)
	}
	return runCmd(t, exec.CommandContext(t.Context(), path, args...))
}

// Must is like [Run], but the test fails unless the program succeeds.
func Must(t testing.TB, name string, args ...string) Result {
	t.Helper()
	r := Run(t, name, args...)
	if r.Code != 0 {
		t.Fatalf("exit status %d of %s", r.Code, r)
	}
	return r
}

func runCmd(t testing.TB, cmd *exec.Cmd) Result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	r := Result{Command: cmd.String(), Stdout: stdout.String(), Stderr: stderr.String()}
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit) && exit.Exited():
		r.Code = exit.ExitCode()
	default:
		t.Fatalf("%v: %s", err, r)
	}
	return r
}
