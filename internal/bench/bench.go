// Package bench measures the speed of AES-XTS on this computer. It runs each implementation on data in
// the CPU cache and compares it with the limit of the AES units.
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

// A Result holds the measurements of one computer.
type Result struct {
	CPU     string `json:"cpu"`
	Results []Rate `json:"results"`
}

// A Rate is the speed of one implementation at one operation.
type Rate struct {
	Impl       string  `json:"impl"`
	Op         string  `json:"op"`
	KeyBits    int     `json:"key_bits"` // of the whole XTS key
	SectorSize int     `json:"sector_size"`
	Threads    int     `json:"threads"`
	GBPerS     float64 `json:"gb_per_s"` // 10^9 bytes per second
	Selected   bool    `json:"selected"`

	// LimitShare is the rate divided by the rate of a loop that does only the AES rounds, in registers.
	// Both take turns. It is 0 on CPUs without such a loop.
	LimitShare float64 `json:"limit_share,omitempty"`
}

// Run measures every implementation at every operation, key size and sector size, with one thread and
// with cpus threads. Each of the at most 16 settings takes about the time d.
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

// measure adds the rates of all implementations in one setting. The implementations and the limit take
// turns, because the clock rate of a CPU changes with time. The median turn counts.
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

// A job is one implementation with its buffers, one for each thread.
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

// newLimit returns a job that does only the AES rounds of the same work.
func newLimit(l aeslimit.Loop, keySize, threads int) *job {
	crypt := func(_, src []byte, _ uint64) { l.Run(len(src), 4*keySize) }
	return &job{crypt: crypt, buffers: buffersFor(threads)}
}

// buffersFor returns a buffer for each thread. A buffer is as large as the pieces of the encrypting
// workers, and fits into any second-level cache.
func buffersFor(threads int) [][]byte {
	buffers := make([][]byte, threads)
	for i := range buffers {
		buffers[i] = make([]byte, 128<<10)
	}
	return buffers
}

// median returns the median rate. The number of turns is odd.
func (j *job) median() float64 {
	return slices.Sorted(slices.Values(j.rates))[len(j.rates)/2]
}

// run works on all buffers in place for about the time d and returns the rate in bytes per second.
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

// cpuName returns the vendor's name of the CPU, or "" if the system does not report it.
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
