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

	// without does the same with next to no data: what it takes, most of all the key
	// derivation, is not the job's. It is nil where there is nothing to take off.
	without [][]string

	remove  []string     // before each run
	before  func() error // as well; not measured
	slow    bool         // runs in the first slowRounds only
	missing string       // a program that is not here

	net []float64 // seconds of each run, without what is not the job's
}

// A job is what contenders do in turns.
type job struct {
	name       string
	bytes      int64 // of the disk
	contenders []contender
	once       bool // takes too long for more than one round

	// twice has each contender run twice in a row, and the second run count. The page
	// cache takes memory in units that depend on the length of the writes. A virtual
	// machine may have to get that from its host anew when a program with other lengths
	// comes after one, for which it waits seconds.
	twice bool
}

// A run is what was measured.
type measured struct {
	wall time.Duration
	rss  int64 // the largest of all programs, bytes
}

// slowRounds is in how many rounds slow contenders run.
const slowRounds = 2

// leaveOut takes out the contenders whose program is not here.
func (j *job) leaveOut(say func(string, ...any)) {
	j.contenders = slices.DeleteFunc(j.contenders, func(x contender) bool {
		if x.missing != "" {
			say("# %s: without %s: no %s", j.name, x.name, x.missing)
		}
		return x.missing != ""
	})
}

// round runs each contender once, in another order each time, so that none always follows
// the same one. What round -1 measures does not count: it touches programs and memory for
// the first time.
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

// ratios says how the medians compare.
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
	// qemu-img gives up, now and then, when it measures PBKDF2.
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

// shell makes a pipeline of what a shell runs. Its memory is that of the largest program,
// which the shell waits for.
func shell(script string) []string { return []string{"sh", "-c", script} }
