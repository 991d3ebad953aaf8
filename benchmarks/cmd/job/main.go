// Command job compares luksimg with other programs from file to file: encrypting, decrypting and
// converting images. All contenders run in turns, and the results are medians over the rounds. It
// writes the raw results, a line for each run, and prints ratios. run-job.sh builds the programs.
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
	luksimg, peers string // paths of programs
	fast, disk     string // folders in memory and on a disk
	size           int64  // size of the source in bytes
	durable        int64  // size of the source of the durable jobs in bytes
	rounds         int
	only           *regexp.Regexp
	sweep          int64 // largest size of the sweep in bytes
	key            string
}

func main() {
	var c config
	var only, raw string
	var mib, durable, sweep int64
	flag.StringVar(&c.luksimg, "luksimg", "luksimg", "path of luksimg")
	flag.StringVar(&c.peers, "peers", "peers", "path of peers")
	flag.StringVar(&c.fast, "fast", "/dev/shm", "folder in memory")
	flag.StringVar(&c.disk, "disk", os.TempDir(), "folder on a disk")
	flag.Int64Var(&mib, "size", 1024, "size of the source in MiB")
	flag.Int64Var(&durable, "durable", 4096, "size of the source of the durable jobs in MiB")
	flag.Int64Var(&sweep, "sweep", 64<<10, "largest source of the sweep in MiB; sources over 16 GiB run once")
	flag.IntVar(&c.rounds, "rounds", 7, "number of rounds, after one that does not count")
	flag.StringVar(&only, "only", ".", "run only jobs whose name matches this regular expression")
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
	// Each round runs all jobs. A disturbance of a minute then affects one run of each, and not the
	// medians.
	for round := -1; round < c.rounds; round++ {
		for i := range jobs {
			if err := jobs[i].round(round, say); err != nil {
				return err
			}
		}
		if raw != "" { // also after an error
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

// environment prints the versions of the system and of the programs.
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
			say("%s: not installed", v[0])
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
	// The linked libraries show which one does the AES of each program.
	for _, p := range []string{"qemu-img", "cryptsetup", "nbdkit"} {
		path, err := exec.LookPath(p)
		if err != nil {
			continue
		}
		if p == "nbdkit" { // its filter does the AES
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
