package slurm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
)

// TestShellcheck runs shellcheck on the scripts of the example.
func TestShellcheck(t *testing.T) {
	names, err := filepath.Glob("../../examples/slurm/*")
	if err != nil || len(names) != 3 {
		t.Fatalf("scripts: %q, %v", names, err)
	}
	need.Run(t, "", "shellcheck", names...)
}

// TestSubmit submits twice, with a recording program in place of sbatch. It must plan a job, in a file
// or an object, once, and reject another number of shards.
func TestSubmit(t *testing.T) {
	name, err := command()
	if err != nil {
		t.Fatal(err)
	}
	endpoint, objects := need.Gateway(t, accessKey, secretKey)
	dir, script := t.TempDir(), abs(t, "../../examples/slurm/submit")
	for _, err := range []error{
		os.Mkdir(filepath.Join(objects, "images"), 0o700),
		os.WriteFile(filepath.Join(dir, "sbatch"), []byte("#!/bin/sh\necho \"$*\" >>calls\necho 7\n"), 0o700),
		os.WriteFile(filepath.Join(dir, "disk.raw"), make([]byte, 32<<20), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	run := func(program string, args ...string) (string, error) {
		c := exec.Command(program, args...)
		c.Dir = dir
		c.Env = append(os.Environ(), "PATH="+dir+":"+filepath.Dir(name)+":"+os.Getenv("PATH"), "IBMCLOUD_API_KEY=", "LUKSIMG_COS_URL="+endpoint,
			"AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if out, err := run(name, "keygen", "dek.b64"); err != nil {
		t.Fatal(err, out)
	}
	for _, job := range []string{"web.job", "cos://us-south/images/web.job"} {
		submit := func(shards string) (string, error) {
			return run(script, "disk.raw", filepath.Base(job)+filepath.Dir(job)[:1], job, "dek.b64", shards, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
		}
		os.Remove(filepath.Join(dir, "calls"))
		for i, planned := range []bool{true, false} {
			out, err := submit("3")
			if err != nil || strings.Contains(out, "3 shards, ") != planned {
				t.Errorf("%s, time %d: %v: %s", job, i, err, out)
			}
		}
		if out, err := submit("5"); err == nil || !strings.Contains(out, "was planned with 3 shards, not 5") {
			t.Errorf("%s with 5 shards: %v: %s", job, err, out)
		}
		calls, err := os.ReadFile(filepath.Join(dir, "calls"))
		if err != nil || strings.Count(string(calls), "--array=0-2 ") != 2 || strings.Count(string(calls), "\n") != 4 {
			t.Errorf("%s: %v: %s", job, err, calls)
		}
	}
}
