// Command unpack measures luksimg encrypt of a compressed disk against the usual program that unpacks it
// into a pipe to luksimg. All run in turns, in another order each round; a ratio is the median over the
// rounds of the ratio within a round. run-unpack.sh makes what it needs.
package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/luksimg/luksimg/benchmarks/measure"
)

// A job is one compressed disk, unpacked by luksimg and by a program before it.
type job struct {
	name, file string
	peer       string // a command for the shell that writes the disk to standard output
	want       float64
	results    [2]measure.Result // luksimg, the peer
	peak       int64             // of luksimg, in bytes
}

func main() {
	luksimg := flag.String("luksimg", "luksimg", "the program luksimg")
	dir := flag.String("dir", "", "folder with disk.raw, and disk.raw.gz, .xz, .zst beside it")
	rounds := flag.Int("rounds", 7, "rounds that count; one more goes before them")
	raw := flag.String("raw", "", "file to write the raw results to")
	flag.Parse()
	if err := run(*luksimg, *dir, *rounds, *raw); err != nil {
		fmt.Fprintln(os.Stderr, "unpack:", err)
		os.Exit(1)
	}
}

func run(luksimg, dir string, rounds int, raw string) error {
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
		{name: "zstd", file: "disk.raw.zst", peer: "zstd -dcq", want: 1.3},
		{name: "zstd-frames", file: "disk.frames.zst", peer: "zstd -dcq", want: 1.3},
		{name: "xz-blocks", file: "disk.raw.xz", peer: "xz -T2 -dc", want: 1.5},
		{name: "gzip", file: "disk.raw.gz", peer: "pigz -dc", want: 1.0},
	}
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
				seconds, peak, err := timed(command)
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
		}
	}
	for _, j := range jobs {
		ratio := j.results[0].Ratio(j.results[1])
		say("# %-12s luksimg %7.1f MB/s, %-11s | luksimg %7.1f MB/s: %.2f times as fast (want %.1f), peak memory %d MiB",
			j.name, j.results[0].Median(), j.peer, j.results[1].Median(), math.Round(ratio*100)/100, j.want, j.peak>>20)
	}
	if raw == "" {
		return nil
	}
	return os.WriteFile(raw, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// timed runs a command, and returns how long it took and the largest resident set of its processes.
func timed(command string) (seconds float64, peak int64, err error) {
	c := exec.Command("bash", "-c", "set -o pipefail; "+command)
	start := time.Now()
	if out, err := c.CombinedOutput(); err != nil {
		return 0, 0, fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	seconds = time.Since(start).Seconds()
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peak = u.Maxrss << 10
	}
	return seconds, peak, nil
}
