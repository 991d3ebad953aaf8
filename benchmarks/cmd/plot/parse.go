package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/luksimg/luksimg/benchmarks/measure"
)

// results are the median rates in GB/s by implementation and sector size.
type results struct {
	cpu, goVersion string
	impls          []string // in the order of the file
	rates          map[string]map[int]float64
}

// parse reads Go benchmark lines.
func parse(text string) (*results, error) {
	r := &results{rates: map[string]map[int]float64{}}
	samples := map[string]map[int][]float64{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if v, ok := strings.CutPrefix(line, "cpu: "); ok {
			r.cpu = v
		}
		if v, ok := strings.CutPrefix(line, "go: "); ok {
			r.goVersion = v
		}
		name, ok := strings.CutPrefix(line, "BenchmarkXTS/")
		if !ok {
			continue
		}
		fields := strings.Fields(name)
		if len(fields) != 6 || fields[5] != "MB/s" {
			return nil, fmt.Errorf("not a benchmark line: %s", line)
		}
		rate, err := strconv.ParseFloat(fields[4], 64)
		if err != nil {
			return nil, err
		}
		keys := map[string]string{}
		for part := range strings.SplitSeq(fields[0], "/") {
			key, value, _ := strings.Cut(part, "=")
			keys[key] = value
		}
		if keys["op"] != "enc" || keys["key"] != "512" || keys["buffer"] != "64KiB" || keys["threads"] != "1" {
			continue
		}
		sector, err := strconv.Atoi(keys["sector"])
		if err != nil {
			return nil, err
		}
		impl := keys["impl"]
		if samples[impl] == nil {
			samples[impl] = map[int][]float64{}
			r.impls = append(r.impls, impl)
		}
		samples[impl][sector] = append(samples[impl][sector], rate/1e3)
	}
	for impl, bySector := range samples {
		r.rates[impl] = map[int]float64{}
		for sector, rates := range bySector {
			r.rates[impl][sector] = measure.Median(rates)
		}
	}
	if len(r.impls) == 0 {
		return nil, errors.New("no results")
	}
	return r, nil
}
