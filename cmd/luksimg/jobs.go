package main

import (
	"errors"
	"os"
	"runtime"
	"strconv"

	"github.com/spf13/cobra"
)

// cpus is how many CPUs this process may use.
var cpus = runtime.GOMAXPROCS(0)

// spareProcessor is for jobs whose workers each write to their own place in a file. It gives
// the scheduler of Go one processor more than there are CPUs, and so more than there are
// workers. Without one, it takes the processor away from a worker that is in a system call for
// more than some microseconds, as each write of a piece is, and starts a thread to look for
// other work, of which there is none: encrypting a file in memory took 12 % longer. Jobs that
// have an order have more goroutines than CPUs, and are slower with it.
func spareProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(cpus + 1)
	}
}

// A jobsFlag is --jobs, the number of workers.
type jobsFlag int

func (j *jobsFlag) add(c *cobra.Command) {
	*j = jobsFlag(cpus)
	c.Flags().Var(j, "jobs", "number of workers (default: one for each CPU)")
}

// String gives nothing, as the help is the same on every machine.
func (j *jobsFlag) String() string { return "" }

func (j *jobsFlag) Type() string { return "int" }

func (j *jobsFlag) Set(s string) error {
	n, err := strconv.Atoi(s)
	switch {
	case err != nil || n < 0:
		return errors.New("a number of workers, or 0 for one for each CPU")
	case n == 0:
		n = cpus
	}
	*j = jobsFlag(n)
	return nil
}
