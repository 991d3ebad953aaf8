package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/internal/aeslimit"
	"github.com/luksimg/luksimg/xts"
)

func TestBench(t *testing.T) {
	r, err := Run(t.Context(), time.Millisecond, runtime.NumCPU())
	if err != nil {
		t.Fatal(err)
	}
	if r.CPU == "" {
		t.Error("empty CPU name")
	}
	count := map[string]int{}
	for _, x := range r.Results {
		count[x.Impl]++
		if x.GBPerS <= 0 {
			t.Errorf("%+v: rate is not positive", x)
		}
		if limited := len(aeslimit.Loops()) > 0; limited != (x.LimitShare > 0) {
			t.Errorf("%+v: has a share of the limit, want %v", x, limited)
		}
		if want := x.Impl == xts.Implementations()[0]; x.Selected != want {
			t.Errorf("%+v: selected, want %v", x, want)
		}
	}
	for _, name := range xts.Implementations() {
		if n := count[name]; n != 8 && n != 16 { // 16 with more than one core
			t.Errorf("%d results for %s", n, name)
		}
		if !strings.Contains(r.Table(), name) {
			t.Errorf("%s missing from the table", name)
		}
		if !strings.Contains(r.Lines(), "/impl="+name+" ") {
			t.Errorf("%s missing from the benchmark lines", name)
		}
	}
	for line := range strings.Lines(r.Lines()) {
		fields := strings.Fields(line)
		if strings.HasPrefix(line, "Benchmark") && (len(fields) != 6 || fields[3] != "ns/op" || fields[5] != "MB/s") {
			t.Errorf("not a benchmark line: %s", line)
		}
	}
}

func TestBenchCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, time.Millisecond, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
}

// TestBenchJSON pins the names that scripts read.
func TestBenchJSON(t *testing.T) {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(Result{CPU: "c", Results: []Rate{
		{"i", "encrypt", 512, 4096, 2, 1.5, true, 0.5},
	}}); err != nil {
		t.Fatal(err)
	}
	const want = `{"cpu":"c","results":[{"impl":"i","op":"encrypt","key_bits":512,"sector_size":4096,` +
		`"threads":2,"gb_per_s":1.5,"selected":true,"limit_share":0.5}]}`
	if got := strings.TrimSpace(b.String()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestBenchTable checks that the table shows shares only where a limit was measured.
func TestBenchTable(t *testing.T) {
	r := &Result{Results: []Rate{{"i", "encrypt", 512, 4096, 2, 1.5, true, 0.93}}}
	if got := r.Table(); !strings.Contains(got, "1.50  93%") || !strings.Contains(got, "share") {
		t.Errorf("no share in\n%s", got)
	}
	r.Results[0].LimitShare = 0
	if got := r.Table(); !strings.Contains(got, "1.50") || strings.ContainsAny(got, "%") || strings.Contains(got, "share") {
		t.Errorf("a share in\n%s", got)
	}
}
