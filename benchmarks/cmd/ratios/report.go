package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/benchmarks/contender"
	"github.com/luksimg/luksimg/benchmarks/measure"
	"github.com/luksimg/luksimg/internal/aeslimit"
	"github.com/luksimg/luksimg/xts"
)

// hotSize is the size in bytes of a source and destination that fit into the second-level cache.
const hotSize = 64 << 10

// A setting is what all contenders do at the same time.
type setting struct {
	op         string
	keySize    int // in bytes
	sectorSize int
}

func settings() []setting {
	var list []setting
	for _, keySize := range []int{64, 32} {
		for _, sectorSize := range []int{512, 4096} {
			for _, op := range []string{"enc", "dec"} {
				list = append(list, setting{op, keySize, sectorSize})
			}
		}
	}
	return list
}

func (s setting) String() string {
	return fmt.Sprintf("op=%s/key=%d/sector=%d", s.op, 8*s.keySize, s.sectorSize)
}

// A report collects the measurements.
type report struct {
	raw    strings.Builder // Go benchmark lines
	ratios map[string]float64
}

// put prints a line and keeps it as a configuration line of the benchmark format.
func (r *report) put(key, value string) {
	fmt.Printf("%s: %s\n", key, value)
	fmt.Fprintf(&r.raw, "%s: %s\n", key, value)
}

func (r *report) environment() {
	r.put("goos", runtime.GOOS)
	r.put("goarch", runtime.GOARCH)
	r.put("go", runtime.Version())
	r.put("cpu", cpuName())
	r.put("cpus", fmt.Sprint(runtime.NumCPU()))
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		r.put("kernel", strings.TrimSpace(string(b)))
	}
	r.put("selected", xts.Implementations()[0])
	for _, c := range contender.All() {
		if c.Version != "" {
			r.put(c.Name, c.Version)
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if strings.Contains(d.Path, "luksy") || d.Path == "golang.org/x/crypto" {
				r.put(d.Path, d.Version)
			}
		}
	}
}

func cpuName() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// jobs makes the contenders that support s, or only those with the given names, and the limits. Each
// has its own buffers.
func jobs(s setting, size int, names ...string) ([]measure.Job, error) {
	var list []measure.Job
	for _, l := range aeslimit.Loops() {
		list = append(list, measure.Job{Name: l.Name, Bytes: size, Run: func() { l.Run(size, 4*s.keySize) }})
	}
	key := make([]byte, s.keySize)
	buf := make([]byte, 2*size)
	rand.Read(key)
	rand.Read(buf)
	for _, c := range contender.All() {
		if len(names) > 0 && !slices.Contains(names, c.Name) {
			continue
		}
		crypt, err := c.New(s.op, key, s.sectorSize)
		if errors.Is(err, contender.ErrUnsupported) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		list = append(list, measure.Job{Name: c.Name, Bytes: size, Run: func() {
			crypt(buf[size:], buf[:size], 1<<20)
		}})
	}
	return list, nil
}

// hot measures s in the cache, on one core.
func (r *report) hot(s setting, rounds int) error {
	list, err := jobs(s, hotSize)
	if err != nil {
		return err
	}
	results := measure.Rounds(list, rounds)
	fmt.Printf("\n%s, in the cache, one core\n", s)
	ours := find(results, "luksimg/"+xts.Implementations()[0])
	for _, res := range results {
		fmt.Printf("  %-22s %7.2f GB/s", res.Name, res.Median()/1e9)
		if res.Name != ours.Name {
			fmt.Printf("   selected is %6.2f times this", ours.Ratio(res))
		}
		fmt.Println()
		r.benchmark(s.String()+"/buffer=64KiB/threads=1", res)
		for _, other := range results {
			r.ratios[fmt.Sprintf("%s %s:%s", s, res.Name, other.Name)] = res.Ratio(other)
		}
	}
	return nil
}

// benchmark adds ten benchmark lines for a result.
func (r *report) benchmark(setting string, res measure.Result) {
	for _, rate := range res.Batches(10) {
		fmt.Fprintf(&r.raw, "BenchmarkXTS/%s/impl=%s 1 %.1f ns/op %.2f MB/s\n",
			setting, strings.ReplaceAll(res.Name, "/", "-"), float64(res.Bytes)/rate*1e9, rate/1e6)
	}
}

// cores compares two cores with one, in the cache.
func (r *report) cores(rounds int) {
	if runtime.NumCPU() < 2 {
		return
	}
	s := setting{"enc", 64, 512}
	name := "luksimg/" + xts.Implementations()[0]
	var workers []measure.Job
	for range 2 {
		// Each core has its own buffers and cipher.
		list, err := jobs(s, hotSize, name)
		if err != nil {
			return
		}
		workers = append(workers, list[len(list)-1])
	}
	one, two := measure.Threads(workers, max(1, rounds/2))
	one.Name, two.Name = name, name
	ratio := two.Ratio(one)
	r.ratios[s.String()+" two cores:one"] = ratio
	fmt.Printf("\n%s, in the cache: two cores %.2f GB/s, one %.2f GB/s, %.2f times\n",
		s, two.Median()/1e9, one.Median()/1e9, ratio)
	r.benchmark(s.String()+"/buffer=64KiB/threads=2", two)
}

// memory compares encryption from memory to memory with copying.
func (r *report) memory(size int) {
	const rounds = 9
	for _, sectorSize := range []int{512, 4096} {
		s := setting{"enc", 64, sectorSize}
		src, dst := make([]byte, size), make([]byte, size)
		rand.Read(src)
		copy(dst, src)
		c, err := xts.New(src[:64], xts.Options{SectorSize: sectorSize})
		if err != nil {
			return
		}
		list := []measure.Job{
			{Name: "copy", Bytes: size, Run: func() { copy(dst, src) }},
			{Name: "luksimg/" + xts.Implementations()[0], Bytes: size, Run: func() { c.Encrypt(dst, src, 0) }},
			{Name: "luksimg/in-place", Bytes: size, Run: func() { c.Encrypt(dst, dst, 0) }},
		}
		if aeslimit.Copy(nil, nil) { // same memory traffic and AES instructions
			list = append(list, measure.Job{Name: aeslimit.Copying, Bytes: size, Run: func() { aeslimit.Copy(dst, src) }})
		}
		results := measure.Rounds(list, rounds)
		ratio := results[1].Ratio(results[0])
		r.ratios[fmt.Sprintf("%s from memory:copy", s)] = ratio
		for _, res := range results[3:] {
			r.ratios[fmt.Sprintf("%s %s:copy", s, res.Name)] = res.Ratio(results[0])
		}
		fmt.Printf("\n%s, from memory, one core: %.2f GB/s, in place %.2f GB/s, copy %.2f GB/s, %.2f times copy\n",
			s, results[1].Median()/1e9, results[2].Median()/1e9, results[0].Median()/1e9, ratio)
		for _, res := range results[3:] {
			fmt.Printf("  %s %.2f GB/s, selected is %.2f times this\n", res.Name, res.Median()/1e9, results[1].Ratio(res))
		}
		for _, res := range results {
			r.benchmark(fmt.Sprintf("%s/buffer=%dMiB/threads=1", s, size>>20), res)
		}
	}
}

func find(results []measure.Result, name string) measure.Result {
	for _, res := range results {
		if res.Name == name {
			return res
		}
	}
	return measure.Result{}
}
