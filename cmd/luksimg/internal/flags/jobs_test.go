package flags

import (
	"runtime"
	"testing"
)

func TestJobs(t *testing.T) {
	for in, want := range map[string]int{"1": 1, "64": 64, "0": CPUs, "-1": -1, "two": -1, "": -1, "1.5": -1} {
		j := Jobs(7)
		err := j.Set(in)
		if want < 0 && (err == nil || j != 7) || want > 0 && (err != nil || int(j) != want) {
			t.Errorf("--jobs %q: %d, %v", in, j, err)
		}
	}
}

// TestSpareProcessor checks that a GOMAXPROCS in the environment stays in effect.
func TestSpareProcessor(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for env, want := range map[string]int{"": CPUs + 1, "1": CPUs} {
		runtime.GOMAXPROCS(CPUs)
		t.Setenv("GOMAXPROCS", env)
		SpareProcessor()
		if got := runtime.GOMAXPROCS(0); got != want {
			t.Errorf("GOMAXPROCS=%q: %d processors, want %d", env, got, want)
		}
	}
}
