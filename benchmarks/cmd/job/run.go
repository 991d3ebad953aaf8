package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A contender does a job by running programs one after the other.
type contender struct {
	name string
	cmds [][]string

	// without does the same with almost no data. Its time, mostly the key derivation, is subtracted. It
	// is nil if there is nothing to subtract.
	without [][]string

	remove  []string     // files to remove before each run
	before  func() error // runs before each run; not measured
	slow    bool         // runs in the first slowRounds only
	missing string       // name of a program that is not installed

	net []float64 // seconds of each run, after the subtraction
}

// A job is a task that contenders do in turns.
type job struct {
	name       string
	bytes      int64 // size of the disk in bytes
	contenders []contender
	once       bool // runs in one round only, because it takes long

	// twice makes each contender run twice in a row, and only the second run counts. The page cache
	// allocates memory in units that depend on the length of the writes. After a program with other
	// lengths, a virtual machine may have to get this memory from its host, and waits for seconds.
	twice bool
}

// measured is the result of a run.
type measured struct {
	wall time.Duration
	rss  int64 // largest resident set of the programs in bytes
}

// slowRounds is the number of rounds for slow contenders.
const slowRounds = 2

// leaveOut removes the contenders whose programs are not installed.
func (j *job) leaveOut(say func(string, ...any)) {
	j.contenders = slices.DeleteFunc(j.contenders, func(x contender) bool {
		if x.missing != "" {
			say("# %s: without %s: no %s", j.name, x.name, x.missing)
		}
		return x.missing != ""
	})
}

// round runs each contender once. The order changes, so that no contender always follows the same one.
// Round -1 does not count: it loads the programs and touches the memory.
func (j *job) round(round int, say func(string, ...any)) error {
	if j.once && round != 0 {
		return nil
	}
	for i := range j.contenders {
		x := &j.contenders[(i+max(round, 0))%len(j.contenders)]
		if x.slow && (round < 0 || round >= slowRounds) {
			continue
		}
		m, err := x.measure(x.cmds)
		if err == nil && j.twice {
			m, err = x.measure(x.cmds)
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w", j.name, x.name, err)
		}
		var w measured
		if x.without != nil {
			if w, err = x.measure(x.without); err != nil {
				return fmt.Errorf("%s: %s, without data: %w", j.name, x.name, err)
			}
		}
		if round < 0 {
			continue
		}
		n := max(m.wall-w.wall, 0).Seconds()
		x.net = append(x.net, n)
		say("BenchmarkJob/job=%s/impl=%s 1 %d ns/op %d fixed-ns %d net-ns %.1f MB/s %d RSS-bytes", j.name, x.name,
			m.wall.Nanoseconds(), w.wall.Nanoseconds(), int64(n*1e9), float64(j.bytes)/max(n, 1e-9)/1e6, m.rss)
	}
	return nil
}

// ratios prints the ratios of the medians.
func (j *job) ratios(say func(string, ...any)) {
	ours := median(j.contenders[0].net)
	for _, x := range j.contenders {
		m := median(x.net)
		say("# %-18s %-24s net %7.3f s  ours is %.2f times as fast", j.name, x.name, m, m/ours)
	}
}

func median(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	s := slices.Clone(x)
	slices.Sort(s)
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// measure runs the programs of a contender.
func (x *contender) measure(cmds [][]string) (measured, error) {
	// qemu-img sometimes fails while it measures PBKDF2.
	const flaky = "Unable to get accurate CPU usage"
	for try := 0; ; try++ {
		m, err := x.once(cmds)
		if err == nil || try == 10 || !strings.Contains(err.Error(), flaky) {
			return m, err
		}
	}
}

func (x *contender) once(cmds [][]string) (measured, error) {
	var m measured
	for _, name := range x.remove {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return m, err
		}
	}
	if x.before != nil {
		if err := x.before(); err != nil {
			return m, err
		}
	}
	start := time.Now()
	for _, args := range cmds {
		cmd := exec.Command(args[0], args[1:]...)
		var errs strings.Builder
		cmd.Stderr = &errs
		if err := cmd.Run(); err != nil {
			return m, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, errs.String())
		}
		if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			m.rss = max(m.rss, u.Maxrss<<10)
		}
	}
	m.wall = time.Since(start)
	return m, nil
}

// shell returns a command that runs a shell pipeline. Its measured memory is that of the largest
// program, which the shell waits for.
func shell(script string) []string { return []string{"sh", "-c", script} }
