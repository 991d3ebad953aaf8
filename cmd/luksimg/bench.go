package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/internal/bench"
)

// benchTime is the time to measure each setting, for all implementations together. There are at most 16 settings.
const benchTime = 800 * time.Millisecond

func newBench(g *global) *cobra.Command {
	var benchfmt bool
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure how fast this computer encrypts",
		Long: `Bench measures AES-XTS on this CPU, in GB/s (10^9 bytes a second), on one core and on all. It lists
each implementation that the CPU can run, and marks the one in use. On x86 it also prints how
close each comes to the limit of the AES units, measured with a loop of AES instructions that uses
registers only. The data are in the cache. Bench takes less than 20 seconds.`,
		Example: `  luksimg bench
  luksimg bench --benchfmt > new.txt && benchstat old.txt new.txt`,
		Args: flags.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			if benchfmt && g.AsJSON {
				return errors.New("--benchfmt and --json exclude each other")
			}
			r, err := bench.Run(c.Context(), benchTime, flags.CPUs)
			if err != nil {
				return err
			}
			text := r.Table()
			if benchfmt {
				text = r.Lines()
			}
			return g.Result(r, text)
		},
	}
	c.Flags().BoolVar(&benchfmt, "benchfmt", false, "print lines as Go benchmarks do, for benchstat")
	return c
}
