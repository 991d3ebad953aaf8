// Package need runs other programs in tests. If a program is not installed, the test is skipped, or
// fails if CI=true.
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

// Judge is like [Program] for long tests, which -short skips.
func Judge(t testing.TB, names ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("slow cross-check with other programs")
	}
	Program(t, names...)
}

// All reports whether missing programs make tests fail.
func All() bool { return os.Getenv("CI") == "true" }

// Lack skips the test because something is missing, or fails it if CI=true.
func Lack(t testing.TB, why any) {
	t.Helper()
	if All() {
		t.Fatal(why)
	}
	t.Skip(why)
}

// Path returns the path of a program. It also searches the directories for administrators, which are
// often not on the PATH of other users. An absolute path must name an existing file.
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

// Run runs a program in a folder and returns its output. The test fails if the program does.
func Run(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	return Input(t, dir, "", name, args...)
}

// Input is like [Run] with text for standard input.
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
		// qemu-img sometimes fails to create LUKS if the CPU clock of the process did not advance while
		// it measured PBKDF2.
		if try == 10 || !bytes.Contains(out, []byte("Unable to get accurate CPU usage")) {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
	}
}
