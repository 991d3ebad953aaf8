// Command unpack compares luksimg encrypt of a compressed disk with the usual decompressor that pipes
// to luksimg. All run in turns, in another order each round. A ratio is the median over the rounds of
// the ratio within a round. run-unpack.sh makes the files.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/luksimg/luksimg/benchmarks/measure"
)

// A job is a compressed disk, decompressed by luksimg or by a peer in front of it.
type job struct {
	name, file string
	peer       string // shell command that writes the disk to standard output
	check      string // command that decompresses and writes nothing; "" prints no floor
	want       float64
	results    [2]measure.Result // luksimg and the peer
	floor      measure.Result
	peak       int64 // peak memory of luksimg in bytes
}

func main() {
	luksimg := flag.String("luksimg", "luksimg", "path of luksimg")
	dir := flag.String("dir", "", "folder with disk.raw and disk.raw.gz, .xz and .zst")
	rounds := flag.Int("rounds", 7, "number of rounds, after one that does not count")
	raw := flag.String("raw", "", "file to write the raw results to")
	only := flag.String("only", "", "run only jobs whose name has this prefix")
	flag.Parse()
	if err := run(*luksimg, *dir, *rounds, *raw, *only); err != nil {
		fmt.Fprintln(os.Stderr, "unpack:", err)
		os.Exit(1)
	}
}

func run(luksimg, dir string, rounds int, raw, only string) error {
	fi, err := os.Stat(filepath.Join(dir, "disk.raw"))
	if err != nil {
		return err
	}
	key, out := filepath.Join(dir, "key"), filepath.Join(dir, "disk.luks")
	if err := os.WriteFile(key, []byte("a key"), 0o600); err != nil {
		return err
	}
	encrypt := fmt.Sprintf("%s encrypt -q --force --format luks1 --pbkdf-force-iterations 1000 --key-file %s", luksimg, key)
	jobs := []*job{
		{name: "zstd", file: "disk.raw.zst", peer: "zstd -dcq", check: "zstd -tq", want: 1.3},
		{name: "zstd-frames", file: "disk.frames.zst", peer: "zstd -dcq", check: "zstd -tq", want: 1.3},
		{name: "xz-blocks", file: "disk.raw.xz", peer: "xz -T2 -dc", want: 1.5},
		{name: "gzip", file: "disk.raw.gz", peer: "pigz -dc", want: 1.0},
	}
	jobs = slices.DeleteFunc(jobs, func(j *job) bool { return !strings.HasPrefix(j.name, only) })
	var lines []string
	say := func(format string, args ...any) {
		lines = append(lines, fmt.Sprintf(format, args...))
		fmt.Println(lines[len(lines)-1])
	}
	for round := -1; round < rounds; round++ {
		for n := range jobs {
			j := jobs[(n+round+1)%len(jobs)]
			file := filepath.Join(dir, j.file)
			for i := range 2 {
				i := (i + round + 1) % 2
				command := fmt.Sprintf("exec %s %s %s", encrypt, file, out)
				if i == 1 {
					command = fmt.Sprintf("%s %s | %s - %s", j.peer, file, encrypt, out)
				}
				// The removal of the old file is not measured.
				if err := os.Remove(out); err != nil && !errors.Is(err, os.ErrNotExist) {
					return err
				}
				seconds, _, peak, err := timed(command)
				if err != nil {
					return err
				}
				if round < 0 {
					continue
				}
				rate := float64(fi.Size()) / seconds / 1e6
				j.results[i].Rates = append(j.results[i].Rates, rate)
				if i == 0 {
					j.peak = max(j.peak, peak)
				}
				say("BenchmarkUnpack/job=%s/impl=%s 1 %.1f MB/s", j.name, []string{"luksimg", "pipe"}[i], rate)
			}
			if round < 0 || j.check == "" {
				continue
			}
			// The floor is the CPU time of decompressing and encrypting, divided by the number of CPUs.
			var cpu float64
			for _, command := range []string{j.check + " " + file, fmt.Sprintf("rm %s; exec %s %s %s", out, encrypt, filepath.Join(dir, "disk.raw"), out)} {
				_, c, _, err := timed(command)
				if err != nil {
					return err
				}
				cpu += c
			}
			rate := float64(fi.Size()) * float64(runtime.NumCPU()) / cpu / 1e6
			j.floor.Rates = append(j.floor.Rates, rate)
			say("BenchmarkUnpack/job=%s/impl=floor 1 %.1f MB/s", j.name, rate)
		}
	}
	for _, j := range jobs {
		ratio := j.results[0].Ratio(j.results[1])
		say("# %-12s luksimg %7.1f MB/s, %-11s | luksimg %7.1f MB/s: %.2f times as fast (want %.1f), peak memory %d MiB",
			j.name, j.results[0].Median(), j.peer, j.results[1].Median(), math.Round(ratio*100)/100, j.want, j.peak>>20)
		if j.check != "" {
			say("# %-12s floor   %7.1f MB/s, by the CPU time of %s and of luksimg with the raw disk, on %d CPUs: luksimg is %.2f times as fast", j.name, j.floor.Median(), j.check, runtime.NumCPU(), j.results[0].Ratio(j.floor))
		}
	}
	if raw == "" {
		return nil
	}
	return os.WriteFile(raw, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// timed runs a command. It returns its duration, its CPU time, and the largest resident set of its
// processes in bytes.
func timed(command string) (seconds, cpu float64, peak int64, err error) {
	c := exec.Command("bash", "-c", "set -o pipefail; "+command)
	start := time.Now()
	if out, err := c.CombinedOutput(); err != nil {
		return 0, 0, 0, fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	seconds = time.Since(start).Seconds()
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peak = u.Maxrss << 10
	}
	return seconds, (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds(), peak, nil
}
