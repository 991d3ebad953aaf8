package main

import "testing"

func TestBenchRefuses(t *testing.T) {
	c := newBench(&global{json: true})
	c.SetArgs([]string{"--benchfmt"})
	c.SilenceErrors, c.SilenceUsage = true, true
	if err := c.ExecuteContext(t.Context()); err == nil {
		t.Error("--benchfmt together with --json is taken")
	}
}
