// Command job measures the whole job, file to file, against other programs: encrypting,
// decrypting and converting images, all contenders in turns, medians over rounds. It
// writes the raw results, a line for each run, and prints ratios. run-job.sh builds what it needs.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

type config struct {
	luksimg, peers string // programs
	fast, disk     string // folders: in memory, and on a disk
	size           int64  // of the source, bytes
	durable        int64  // of the source of the durable jobs
	rounds         int
	only           *regexp.Regexp
	sweep          int64 // the largest size of the sweep
	key            string
}

func main() {
	var c config
	var only, raw string
	var mib, durable, sweep int64
	flag.StringVar(&c.luksimg, "luksimg", "luksimg", "the program luksimg")
	flag.StringVar(&c.peers, "peers", "peers", "the program peers")
	flag.StringVar(&c.fast, "fast", "/dev/shm", "folder in memory")
	flag.StringVar(&c.disk, "disk", os.TempDir(), "folder on a disk")
	flag.Int64Var(&mib, "size", 1024, "MiB of source")
	flag.Int64Var(&durable, "durable", 4096, "MiB of source of the durable jobs")
	flag.Int64Var(&sweep, "sweep", 64<<10, "MiB of the largest source of the sweep over sizes; those over 16 GiB run once")
	flag.IntVar(&c.rounds, "rounds", 7, "rounds that count; one more goes before them")
	flag.StringVar(&only, "only", ".", "run the jobs whose name this regular expression matches")
	flag.StringVar(&raw, "raw", "", "file to write the raw results to")
	flag.Parse()
	c.size, c.durable, c.sweep = mib<<20, durable<<20, sweep<<20
	if err := run(&c, only, raw); err != nil {
		fmt.Fprintln(os.Stderr, "job:", err)
		os.Exit(1)
	}
}

func run(c *config, only, raw string) (err error) {
	if c.only, err = regexp.Compile(only); err != nil {
		return err
	}
	for _, dir := range []*string{&c.fast, &c.disk} {
		if *dir, err = os.MkdirTemp(*dir, "luksimg-bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(*dir)
	}
	var lines []string
	say := func(format string, args ...any) {
		line := fmt.Sprintf(format, args...)
		lines = append(lines, line)
		fmt.Println(line)
	}
	environment(c, say)
	if err := c.prepare(); err != nil {
		return err
	}
	var jobs []job
	for _, j := range c.jobs() {
		if c.only.MatchString(j.name) {
			j.leaveOut(say)
			jobs = append(jobs, j)
		}
	}
	// All jobs in each round: what else the machine does for a minute then falls on one run
	// of each, and the medians do not see it.
	for round := -1; round < c.rounds; round++ {
		for i := range jobs {
			if err := jobs[i].round(round, say); err != nil {
				return err
			}
		}
		if raw != "" { // as far as it got
			if err := os.WriteFile(raw, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
				return err
			}
		}
	}
	for i := range jobs {
		jobs[i].ratios(say)
	}
	return nil
}

// environment says what runs where.
func environment(c *config, say func(string, ...any)) {
	say("goos: %s", runtime.GOOS)
	say("goarch: %s", runtime.GOARCH)
	say("cpu: %s", cpu())
	say("cpus: %d", runtime.NumCPU())
	for _, v := range [][]string{
		{"kernel", "uname", "-r"},
		{"luksimg", c.luksimg, "version"},
		{"qemu-img", "qemu-img", "--version"},
		{"cryptsetup", "cryptsetup", "--version"},
		{"nbdkit", "nbdkit", "--version"},
		{"cat", "cat", "--version"},
		{"peers", "go", "version", "-m", c.peers},
	} {
		out, err := exec.Command(v[1], v[2:]...).Output()
		if err != nil {
			say("%s: not here", v[0])
			continue
		}
		for i, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
			switch {
			case v[0] == "peers" && (strings.Contains(line, "luksy") || strings.Contains(line, "go-qcow2reader")):
				f := strings.Fields(line)
				say("%s: %s", f[1], f[2])
			case v[0] == "luksimg" || v[0] != "peers" && i == 0:
				say("%s: %s", v[0], line)
			}
		}
	}
	// Which library does the AES of others is told by what they are linked with.
	for _, p := range []string{"qemu-img", "cryptsetup", "nbdkit"} {
		path, err := exec.LookPath(p)
		if err != nil {
			continue
		}
		if p == "nbdkit" { // the filter does it
			m, _ := filepath.Glob("/usr/lib/*/nbdkit/filters/nbdkit-luks-filter.so")
			path = strings.Join(m, "")
		}
		out, _ := exec.Command("ldd", path).Output()
		var libs []string
		for _, m := range regexp.MustCompile(`lib(nettle|gcrypt|crypto|gnutls)\.so\S*`).FindAllString(string(out), -1) {
			libs = append(libs, m)
		}
		slices.Sort(libs)
		say("%s crypto: %s", p, cmp.Or(strings.Join(slices.Compact(libs), " "), "unknown"))
	}
}

func cpu() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	m := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(b)
	if m == nil {
		return "unknown"
	}
	return string(m[1])
}
