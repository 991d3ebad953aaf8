package main

import (
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
)

func TestBenchRefuses(t *testing.T) {
	c := newBench(&global{Talk: talk.Talk{AsJSON: true}})
	c.SetArgs([]string{"--benchfmt"})
	c.SilenceErrors, c.SilenceUsage = true, true
	if err := c.ExecuteContext(t.Context()); err == nil {
		t.Error("--benchfmt together with --json is accepted")
	}
}
