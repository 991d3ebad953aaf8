package flags

import (
	"errors"
	"strconv"

	"github.com/spf13/cobra"
)

// Partition is --partition, the number of a partition from 1 on. It is 0 without the flag.
type Partition int

// Add adds the flag to c. what names the argument with the disk.
func (p *Partition) Add(c *cobra.Command, what string) {
	c.Flags().Var(p, "partition", "use partition `N` of the disk in "+what+", and LUKS in it; numbers as in Linux")
}

// String returns "": the default is the whole disk.
func (p *Partition) String() string { return "" }

// Type returns the name of the value in the help.
func (p *Partition) Type() string { return "int" }

// Set parses a value of the flag.
func (p *Partition) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return errors.New("want the number of a partition, from 1 on")
	}
	*p = Partition(n)
	return nil
}
