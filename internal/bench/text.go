package bench

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/luksimg/luksimg/xts"
)

// Table formats the result for people. It has a line for each implementation, operation and number of
// threads, and a column for each key and sector size.
func (r *Result) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cpu: %s\nused: %s\n\nGB/s (10^9 bytes a second), AES-XTS, data in the cache%s\n\n", r.CPU, xts.Implementations()[0], r.limitNote())
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
		fmt.Fprint(w, "\n")
	}
	w.Flush()
	return strings.TrimRight(b.String(), "\n")
}

// limitNote explains the shares in the table.
func (r *Result) limitNote() string {
	if len(r.Results) == 0 || r.Results[0].LimitShare == 0 {
		return ""
	}
	return ", and the share of\nwhat AES instructions on registers alone reach"
}

// Lines returns the result in the format of Go benchmarks.
func (r *Result) Lines() string {
	var b strings.Builder
	fmt.Fprintf(&b, "goos: %s\ngoarch: %s\npkg: github.com/luksimg/luksimg/xts\ncpu: %s\n", runtime.GOOS, runtime.GOARCH, r.CPU)
	for _, x := range r.Results {
		const size = 128 << 10
		fmt.Fprintf(&b, "BenchmarkXTS/op=%s/key=%d/sector=%d/threads=%d/impl=%s 1 %.1f ns/op %.2f MB/s\n",
			x.Op, x.KeyBits, x.SectorSize, x.Threads, x.Impl, size/x.GBPerS, x.GBPerS*1e3)
	}
	return strings.TrimRight(b.String(), "\n")
}
