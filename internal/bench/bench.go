// Package bench measures how fast this computer encrypts: each implementation of AES-XTS that
// it has, with data that is in the cache, beside what its AES units can do.
package bench

import (
	"context"
	"crypto/rand"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/luksimg/luksimg/internal/aeslimit"
	"github.com/luksimg/luksimg/xts"
)

// A Result is what was measured on one computer.
type Result struct {
	CPU     string `json:"cpu"`
	Results []Rate `json:"results"`
}

// A Rate is how fast one implementation is at one thing.
type Rate struct {
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

// Run measures every implementation at everything, on one CPU and on so many at a time, each
// setting for a time d. There are at most 16 settings.
func Run(ctx context.Context, d time.Duration, cpus int) (*Result, error) {
	r := &Result{CPU: cpuName()}
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
func (r *Result) measure(ctx context.Context, d time.Duration, op string, keySize, sectorSize, threads int) error {
	const turns = 7
	names := xts.Implementations()
	jobs := make([]*job, len(names))
	for i, name := range names {
		var err error
		if jobs[i], err = newJob(name, op, keySize, sectorSize, threads); err != nil {
			return err
		}
		defer jobs[i].cipher.Close()
	}
	var limit *job
	if loops := aeslimit.Loops(); len(loops) > 0 {
		limit = newLimit(loops[0], keySize, threads)
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
		rate := Rate{
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

// A job is one implementation with what it works on: a buffer for each thread.
type job struct {
	cipher  *xts.Cipher
	crypt   func(dst, src []byte, sector uint64)
	buffers [][]byte
	rates   []float64
}

func newJob(impl, op string, keySize, sectorSize, threads int) (*job, error) {
	key := make([]byte, keySize)
	rand.Read(key) // never fails
	c, err := xts.New(key, xts.Options{SectorSize: sectorSize, Implementation: impl})
	if err != nil {
		return nil, err
	}
	j := &job{cipher: c, crypt: c.Encrypt, buffers: buffersFor(threads)}
	if op == "decrypt" {
		j.crypt = c.Decrypt
	}
	return j, nil
}

// newLimit does the AES rounds of the same work, and nothing else.
func newLimit(l aeslimit.Loop, keySize, threads int) *job {
	crypt := func(_, src []byte, _ uint64) { l.Run(len(src), 4*keySize) }
	return &job{crypt: crypt, buffers: buffersFor(threads)}
}

// buffersFor makes for each thread what a worker of encrypt has at a time, which is less
// than any second-level cache.
func buffersFor(threads int) [][]byte {
	buffers := make([][]byte, threads)
	for i := range buffers {
		buffers[i] = make([]byte, 128<<10)
	}
	return buffers
}

// median is that of an odd number of turns.
func (j *job) median() float64 {
	return slices.Sorted(slices.Values(j.rates))[len(j.rates)/2]
}

// run works on all buffers in place for about the time d and returns the rate in
// bytes a second.
func (j *job) run(d time.Duration) float64 {
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
