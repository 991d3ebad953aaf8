package flags

import (
	"errors"
	"os"
	"runtime"
	"strconv"

	"github.com/spf13/cobra"
)

// CPUs is how many CPUs this process may use.
var CPUs = runtime.GOMAXPROCS(0)

// SpareProcessor is for jobs whose workers each write to their own place in a file. It gives
// the scheduler of Go one processor more than there are CPUs, and so more than there are
// workers. Without one, it takes the processor away from a worker that is in a system call for
// more than some microseconds, as each write of a piece is, and starts a thread to look for
// other work, of which there is none: encrypting a file in memory took 12 % longer. Jobs that
// have an order have more goroutines than CPUs, and are slower with it.
func SpareProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(CPUs + 1)
	}
}

// Jobs is --jobs, the number of workers.
type Jobs int

// Add adds the flag.
func (j *Jobs) Add(c *cobra.Command) {
	*j = Jobs(CPUs)
	c.Flags().Var(j, "jobs", "number of workers (default: one for each CPU)")
}

// String gives nothing, as the help is the same on every machine.
func (j *Jobs) String() string { return "" }

// Type is what the help calls the value.
func (j *Jobs) Type() string { return "int" }

// Set takes a value of the flag.
func (j *Jobs) Set(s string) error {
	n, err := strconv.Atoi(s)
	switch {
	case err != nil || n < 0:
		return errors.New("want a number of workers, or 0 for one for each CPU")
	case n == 0:
		n = CPUs
	}
	*j = Jobs(n)
	return nil
}
