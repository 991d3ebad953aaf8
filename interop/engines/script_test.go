package engines

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
)

const (
	envCalls = "ENGINES_TEST_CALLS" // file to which the arguments of each call are added
	envReal  = "ENGINES_TEST_REAL"  // the real program to call
)

// called is this program in the role of a cloud's client. It records its arguments, calls the real
// client, if any, to check them without a cloud, and returns its exit code.
func called(name string) int {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		err = json.NewEncoder(f).Encode(os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	real := os.Getenv(envReal)
	if real == "" {
		return 0
	}
	c := exec.Command(real, append(os.Args[1:], "--generate-cli-skeleton", "output", "--region", "us-east-1")...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Run(); err != nil {
		return 1
	}
	return 0
}

// calls runs a script of examples/batch with a recording program in place of program, and returns the
// arguments of all calls. With check, the real program checks them too.
func calls(t *testing.T, script, program string, check bool) (all [][]string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	noted := filepath.Join(dir, "calls")
	if err := os.WriteFile(noted, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, program)); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("../../examples/batch/" + script)
	c.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), envCalls+"="+noted)
	if check {
		real, err := exec.LookPath(program)
		if err != nil {
			need.Lack(t, program+" is not installed")
		}
		c.Env = append(c.Env, envReal+"="+real)
	}
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	b, err := os.ReadFile(noted)
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(string(b))); d.More(); {
		var args []string
		if err := d.Decode(&args); err != nil {
			t.Fatal(err)
		}
		all = append(all, args)
	}
	return all
}

// values returns the values of a flag in args.
func values(args []string, flag string) (all []string) {
	for i := 1; i < len(args); i++ {
		if args[i-1] == flag {
			all = append(all, args[i])
		}
	}
	return all
}
