// Command serve compares luksimg serve with nbdkit and qemu-nbd. All servers run at the same time.
// Clients use them one after the other, in another order each round. A ratio is the median over the
// rounds of the ratio within a round. run-serve.sh builds the programs.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/luksimg/luksimg/benchmarks/measure"
)

func main() {
	luksimg := flag.String("luksimg", "luksimg", "path of luksimg")
	fast := flag.String("fast", "/dev/shm", "folder in memory")
	mib := flag.Int64("size", 1024, "size of the disk in MiB")
	rounds := flag.Int("rounds", 9, "number of rounds, after one that does not count")
	seconds := flag.Int("seconds", 2, "duration of random reads in seconds")
	raw := flag.String("raw", "", "file to write the raw results to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp(*fast, "luksimg-bench-")
	if err == nil {
		err = run(&bench{ctx: ctx, luksimg: *luksimg, dir: dir, size: *mib << 20, rounds: *rounds, seconds: *seconds, raw: *raw})
		os.RemoveAll(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

type bench struct {
	ctx               context.Context // its end stops all servers and clients
	luksimg, dir, raw string
	size              int64
	rounds, seconds   int
	lines             []string
}

func (b *bench) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	b.lines = append(b.lines, line)
	fmt.Println(line)
}

// A job is what a client does with each server. use returns the rate.
type job struct {
	name    string
	unit    string
	use     func(uri string) (float64, error)
	work    func(rate float64) float64 // amount of work done at this rate
	servers []*server
}

func run(b *bench) error {
	for _, p := range [][]string{{b.luksimg, "version"}, {"nbdkit", "--version"}, {"qemu-nbd", "--version"}, {"nbdcopy", "--version"}, {"fio", "--version"}} {
		out, err := exec.Command(p[0], p[1:]...).Output()
		if err != nil {
			return fmt.Errorf("%s: %w", p[0], err)
		}
		line, _, _ := strings.Cut(string(out), "\n")
		b.say("%s: %s", filepath.Base(p[0]), line)
	}
	jobs, err := b.jobs()
	defer func() {
		for _, j := range jobs {
			for _, s := range j.servers {
				s.stop()
			}
		}
	}()
	if err != nil {
		return err
	}
	for round := -1; round < b.rounds; round++ {
		for _, j := range jobs {
			for i := range j.servers {
				s := j.servers[(i+round+1)%len(j.servers)]
				before := s.cpu()
				rate, err := j.use(s.uri)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", j.name, s.name, err)
				}
				if round < 0 {
					continue
				}
				used := max(s.cpu()-before, 0.01) // the resolution of /proc
				s.result.Rates = append(s.result.Rates, rate)
				s.frugal.Rates = append(s.frugal.Rates, j.work(rate)/used)
				b.say("BenchmarkServe/job=%s/impl=%s 1 %.1f %s %.2f server-CPU-seconds", j.name, s.name, rate, j.unit, used)
			}
		}
	}
	for _, j := range jobs {
		for _, s := range j.servers {
			ours := j.servers[0]
			b.say("# %-12s %-10s %9.1f %s; ours is %.2f times as fast, and does %.2f times as much in a second of its CPU; peak memory %d MiB",
				j.name, s.name, s.result.Median(), j.unit, ours.result.Ratio(s.result), ours.frugal.Ratio(s.frugal), s.peak()>>20)
		}
	}
	if b.raw == "" {
		return nil
	}
	return os.WriteFile(b.raw, []byte(strings.Join(b.lines, "\n")+"\n"), 0o644)
}

// copyAll reads the whole disk with nbdcopy and returns the rate in MB/s.
func (b *bench) copyAll(uri string) (float64, error) {
	start := time.Now()
	if out, err := exec.CommandContext(b.ctx, "nbdcopy", uri, "null:").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("nbdcopy: %w\n%s", err, out)
	}
	return float64(b.size) / time.Since(start).Seconds() / 1e6, nil
}

// random reads 4 KiB at random offsets, 16 at a time, and returns the reads per second.
func (b *bench) random(uri string) (float64, error) {
	out, err := exec.CommandContext(b.ctx, "fio", "--name=random", "--ioengine=nbd", "--uri="+uri, "--rw=randread", "--bs=4k", "--iodepth=16",
		"--time_based", "--runtime="+strconv.Itoa(b.seconds), "--size="+strconv.FormatInt(b.size, 10), "--output-format=terse", "--terse-version=3").Output()
	if err != nil {
		return 0, fmt.Errorf("fio: %w", err)
	}
	for _, line := range strings.Split(string(out), "\n") {
		if f := strings.Split(line, ";"); len(f) > 8 {
			return strconv.ParseFloat(f[7], 64)
		}
	}
	return 0, fmt.Errorf("fio: no result in %q", out)
}

// A server is a program that serves the disk.
type server struct {
	name   string
	uri    string
	result measure.Result
	frugal measure.Result // work per second of its CPU time
	cmd    *exec.Cmd
}
