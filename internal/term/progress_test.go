package term

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
)

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1500: "1.5 kB", 999_949: "999.9 kB", 999_950: "1.0 MB",
		2 << 30: "2.1 GB", 1 << 40: "1.1 TB", 1<<63 - 1: "9.2 EB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	for _, c := range []struct {
		total, done int64
		rate, eta   float64
		want        string
	}{
		{100, 42, 10, 5.8, "encrypt 42 %, 42 B of 100 B, 10 B/s, 6s left"},
		{100, 100, 10, 0, "encrypt 100 %, 100 B of 100 B, 10 B/s, 0s left"},
		{0, 1500, 2e9, -1, "encrypt 1.5 kB, 2.0 GB/s"},
	} {
		p := &Progress{phase: "encrypt", total: c.total}
		if got := p.line(c.done, c.rate, c.eta); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// report runs a complete progress with a pipe and returns its output.
func report(t *testing.T, mode string) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := Start(w, mode, "verify", 1000)
	p.Add(400)
	p.Add(600)
	p.Done()
	w.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestModes(t *testing.T) {
	// A job that ends at once reports nothing. A pipe gets no carriage returns.
	for _, mode := range []string{Auto, Plain, None, Bar} {
		if got := report(t, mode); strings.Contains(got, "\r") && mode != Bar || strings.Contains(got, "\n") {
			t.Errorf("%s: %q", mode, got)
		}
	}
	lines := strings.Split(strings.TrimSuffix(report(t, JSON), "\n"), "\n")
	var last struct {
		Type, Phase string
		Done, Total int64
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	if last.Type != "progress" || last.Phase != "verify" || last.Done != 1000 || last.Total != 1000 {
		t.Errorf("last report: got %+v", last)
	}
}

func TestNoTerminal(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if IsTerminal(f) {
		t.Errorf("%s is a terminal", os.DevNull)
	}
}
