package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/internal/aeslimit"
	"github.com/luksimg/luksimg/xts"
)

// benchResult is what bench --json prints.
type benchResult struct {
	CPU     string      `json:"cpu"`
	Results []benchRate `json:"results"`
}

// A benchRate is how fast one implementation is at one thing.
type benchRate struct {
	Impl       string  `json:"impl"`
	Op         string  `json:"op"`
	KeyBits    int     `json:"key_bits"` // of the whole XTS key
	SectorSize int     `json:"sector_size"`
	Threads    int     `json:"threads"`
	GBPerS     float64 `json:"gb_per_s"` // 10^9 bytes a second
	Selected   bool    `json:"selected"`

	// LimitShare is the rate as a share of what AES rounds on registers alone reach, in
	// turns with it. It is 0 where there is no loop for that.
	LimitShare float64 `json:"limit_share,omitempty"`
}

// benchTime is how long each setting is measured, all implementations together.
// There are at most 16 settings.
const benchTime = 800 * time.Millisecond

func newBench(g *global) *cobra.Command {
	var benchfmt bool
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure how fast this computer encrypts",
		Long: `Bench lists the ways to encrypt that the program has for this CPU, which of them it uses,
and how fast each is with data that is in the cache, in GB/s (10^9 bytes a second), on one
core and on all. Beside that is the share of what the AES units of this CPU can do, which is
measured with a loop of AES instructions that uses registers only (x86). It takes less than
20 seconds.`,
		Example: `  luksimg bench
  luksimg bench --benchfmt > new.txt && benchstat old.txt new.txt`,
		Args: args(),
		RunE: func(c *cobra.Command, _ []string) error {
			if benchfmt && g.json {
				return fmt.Errorf("--benchfmt and --json exclude each other")
			}
			r, err := bench(c.Context(), benchTime)
			if err != nil {
				return err
			}
			text := benchTable(r)
			if benchfmt {
				text = benchLines(r)
			}
			return g.talk(c).result(r, text)
		},
	}
	c.Flags().BoolVar(&benchfmt, "benchfmt", false, "print lines as Go benchmarks do, for benchstat")
	return c
}

// bench measures every implementation at everything, each setting for a time d.
func bench(ctx context.Context, d time.Duration) (*benchResult, error) {
	r := &benchResult{CPU: cpuName()}
	threads := []int{1}
	if cpus > 1 {
		threads = append(threads, cpus)
	}
	for _, n := range threads {
		for _, keySize := range []int{64, 32} {
			for _, sectorSize := range []int{512, 4096} {
				for _, op := range []string{"encrypt", "decrypt"} {
					if err := r.measure(ctx, d, op, keySize, sectorSize, n); err != nil {
						return nil, err
					}
				}
			}
		}
	}
	return r, nil
}

// measure adds the rates of all implementations in one setting. They take turns, with
// the limit too, as the clock rate of a CPU changes with time, and the median turn counts.
func (r *benchResult) measure(ctx context.Context, d time.Duration, op string, keySize, sectorSize, threads int) error {
	const turns = 7
	names := xts.Implementations()
	jobs := make([]*benchJob, len(names))
	for i, name := range names {
		var err error
		if jobs[i], err = newBenchJob(name, op, keySize, sectorSize, threads); err != nil {
			return err
		}
		defer jobs[i].cipher.Close()
	}
	var limit *benchJob
	if loops := aeslimit.Loops(); len(loops) > 0 {
		limit = newBenchLimit(loops[0], keySize, threads)
		jobs = append(jobs, limit)
	}
	turn := d / time.Duration(turns*len(jobs))
	for range turns {
		for _, j := range jobs {
			if err := ctx.Err(); err != nil {
				return err
			}
			j.rates = append(j.rates, j.run(turn))
		}
	}
	for i, name := range names {
		rate := benchRate{
			Impl: name, Op: op, KeyBits: 8 * keySize, SectorSize: sectorSize, Threads: threads,
			GBPerS: jobs[i].median() / 1e9, Selected: i == 0,
		}
		if limit != nil {
			rate.LimitShare = jobs[i].median() / limit.median()
		}
		r.Results = append(r.Results, rate)
	}
	return nil
}

// A benchJob is one implementation with what it works on: a buffer for each thread.
type benchJob struct {
	cipher  *xts.Cipher
	crypt   func(dst, src []byte, sector uint64)
	buffers [][]byte
	rates   []float64
}

func newBenchJob(impl, op string, keySize, sectorSize, threads int) (*benchJob, error) {
	key := make([]byte, keySize)
	rand.Read(key) // never fails
	c, err := xts.New(key, xts.Options{SectorSize: sectorSize, Implementation: impl})
	if err != nil {
		return nil, err
	}
	j := &benchJob{cipher: c, crypt: c.Encrypt, buffers: benchBuffers(threads)}
	if op == "decrypt" {
		j.crypt = c.Decrypt
	}
	return j, nil
}

// newBenchLimit does the AES rounds of the same work, and nothing else.
func newBenchLimit(l aeslimit.Loop, keySize, threads int) *benchJob {
	crypt := func(_, src []byte, _ uint64) { l.Run(len(src), 4*keySize) }
	return &benchJob{crypt: crypt, buffers: benchBuffers(threads)}
}

// benchBuffers makes for each thread what a worker of encrypt has at a time, which is less
// than any second-level cache.
func benchBuffers(threads int) [][]byte {
	buffers := make([][]byte, threads)
	for i := range buffers {
		buffers[i] = make([]byte, 128<<10)
	}
	return buffers
}

// median is that of an odd number of turns.
func (j *benchJob) median() float64 {
	return slices.Sorted(slices.Values(j.rates))[len(j.rates)/2]
}

// run works on all buffers in place for about the time d and returns the rate in
// bytes a second.
func (j *benchJob) run(d time.Duration) float64 {
	start := time.Now()
	var wg sync.WaitGroup
	counts := make([]int, len(j.buffers))
	for i, buf := range j.buffers {
		wg.Go(func() {
			for n := 0; n == 0 || time.Since(start) < d; n++ {
				j.crypt(buf, buf, uint64(n)<<10)
				counts[i] += len(buf)
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / time.Since(start).Seconds()
}

// benchTable is the result for a person: a line for each implementation, operation
// and number of threads, a column for each key and sector size.
func benchTable(r *benchResult) string {
	var b strings.Builder
	fmt.Fprintf(&b, "cpu: %s\nused: %s\n\nGB/s (10^9 bytes a second), AES-XTS, data in the cache%s\n\n", r.CPU, xts.Implementations()[0], limitNote(r))
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	type line struct {
		impl, op string
		threads  int
	}
	var lines []line
	columns := []string{}
	rates := map[line]map[string]string{}
	for _, x := range r.Results {
		l := line{x.Impl, x.Op, x.Threads}
		column := fmt.Sprintf("AES-%d %d B", x.KeyBits/2, x.SectorSize)
		if rates[l] == nil {
			rates[l] = map[string]string{}
			lines = append(lines, l)
		}
		if !slices.Contains(columns, column) {
			columns = append(columns, column)
		}
		rates[l][column] = fmt.Sprintf("%.2f", x.GBPerS)
		if x.LimitShare > 0 {
			rates[l][column] += fmt.Sprintf(" %3.0f%%", 100*x.LimitShare)
		}
	}
	fmt.Fprintf(w, "path\toperation\tthreads\t%s\t\n", strings.Join(columns, "\t"))
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%d\t", l.impl, l.op, l.threads)
		for _, column := range columns {
			fmt.Fprintf(w, "%s\t", rates[l][column])
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	return strings.TrimRight(b.String(), "\n")
}

// limitNote says what the shares in the table are.
func limitNote(r *benchResult) string {
	if len(r.Results) == 0 || r.Results[0].LimitShare == 0 {
		return ""
	}
	return ", and the share of\nwhat AES instructions on registers alone reach"
}

// benchLines is the result in the format of Go benchmarks.
func benchLines(r *benchResult) string {
	var b strings.Builder
	fmt.Fprintf(&b, "goos: %s\ngoarch: %s\npkg: github.com/luksimg/luksimg/xts\ncpu: %s\n", runtime.GOOS, runtime.GOARCH, r.CPU)
	for _, x := range r.Results {
		const size = 128 << 10
		fmt.Fprintf(&b, "BenchmarkXTS/op=%s/key=%d/sector=%d/threads=%d/impl=%s 1 %.1f ns/op %.2f MB/s\n",
			x.Op, x.KeyBits, x.SectorSize, x.Threads, x.Impl, size/x.GBPerS, x.GBPerS*1e3)
	}
	return strings.TrimRight(b.String(), "\n")
}

// cpuName is the name that the maker gave the CPU, where the system tells it.
func cpuName() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
