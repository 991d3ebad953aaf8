package flags

import (
	"errors"
	"strconv"

	"github.com/spf13/cobra"
)

// Partition is --partition, the number of a partition of a disk, 0 without the flag.
type Partition int

// Add adds the flag for the disk in the argument that is called what.
func (p *Partition) Add(c *cobra.Command, what string) {
	c.Flags().Var(p, "partition", "take partition `N` of the disk in "+what+", and LUKS in it; numbered as Linux does")
}

// String gives nothing: the default is the whole disk.
func (p *Partition) String() string { return "" }

// Type is what the help calls the value.
func (p *Partition) Type() string { return "int" }

// Set takes a value of the flag.
func (p *Partition) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return errors.New("want the number of a partition, from 1 on")
	}
	*p = Partition(n)
	return nil
}
