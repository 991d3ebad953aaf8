// Package need runs other programs in tests. Where one is not installed the test is skipped, but
// for the tests of every change, which CI=true tells: there it fails.
package need

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Program skips the test if one of the programs is not installed.
func Program(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := Path(name); err != nil {
			Lack(t, err)
		}
	}
}

// Judge is [Program] for tests that take long, which -short skips.
func Judge(t testing.TB, names ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("other programs judge without -short")
	}
	Program(t, names...)
}

// All tells that nothing may be missing.
func All() bool { return os.Getenv("CI") == "true" }

// Lack ends the test because something is missing.
func Lack(t testing.TB, why any) {
	t.Helper()
	if All() {
		t.Fatal(why)
	}
	t.Skip(why)
}

// Path returns where a program is. Those for administrators are often not on the PATH of others,
// who may run them on files of their own all the same. An absolute path is a file that has to be
// there.
func Path(name string) (string, error) {
	if filepath.IsAbs(name) {
		_, err := os.Stat(name)
		return name, err
	}
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err == nil {
			break
		}
		if p, err2 := exec.LookPath(filepath.Join(dir, name)); err2 == nil {
			path, err = p, nil
		}
	}
	return path, err
}

// Run runs a program in a folder to its good end, and returns what it printed.
func Run(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	return Input(t, dir, "", name, args...)
}

// Input is [Run] with a standard input.
func Input(t testing.TB, dir, stdin, name string, args ...string) string {
	t.Helper()
	path, err := Path(name)
	if err != nil {
		Lack(t, err)
	}
	for try := 0; ; try++ {
		cmd := exec.Command(path, args...)
		cmd.Dir = dir
		cmd.Stdin = strings.NewReader(stdin)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		if err == nil {
			return string(out)
		}
		// qemu-img gives up creating LUKS, now and then, if the clock of the process did not
		// move while it measured PBKDF2.
		if try == 10 || !bytes.Contains(out, []byte("Unable to get accurate CPU usage")) {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
	}
}
