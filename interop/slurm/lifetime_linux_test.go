package slurm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestKilled kills a test whose cluster has a running task. No process and no file may remain.
func TestKilled(t *testing.T) {
	if name := os.Getenv(victimFolder); name != "" {
		c := start(t)
		id := c.submit("--wrap=setsid sleep 600 & sleep 600")
		c.await(id, "RUNNING")
		c.must(os.WriteFile(name, []byte(c.dir), 0o600))
		select {}
	}
	possible(t)
	c := &cluster{t: t}
	name := filepath.Join(t.TempDir(), "ready")
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), victimFolder+"="+name)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	c.must(cmd.Start())
	c.until("the other test has a cluster", func() bool { _, err := os.Stat(name); return err == nil })
	dir, err := os.ReadFile(name)
	c.must(err)
	before := processesOf(string(dir))
	if len(before) < 1+1+nodes+2 {
		t.Errorf("a cluster with a task has %d processes: %q", len(before), before)
	}
	cmd.Process.Kill()
	cmd.Wait()
	c.until("all processes of the cluster have ended", func() bool { return len(processesOf(string(dir))) == 0 })
	c.until("the folder is removed", func() bool { _, err := os.Stat(string(dir)); return os.IsNotExist(err) })
}

// processesOf lists the processes that have this folder in their environment.
func processesOf(dir string) (names []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range all {
		env, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(env), dir) {
			text, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
			names = append(names, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return names
}
