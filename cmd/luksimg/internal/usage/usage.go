// Package usage prints the usage of a verb for --help, with its flags in groups. It does not use cobra's templates,
// which would make the program 3 MB larger.
package usage

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// few is the largest number of flags that are printed without groups.
const few = 12

// columns is the width of the text, unless the name of a flag needs more.
const columns = 118

// Write prints the usage of a command to its standard error. It is for [cobra.Command.SetUsageFunc].
func Write(c *cobra.Command) error {
	w := c.OutOrStderr()
	fmt.Fprint(w, "Usage:")
	if c.Runnable() && !c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n  %s", c.UseLine())
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n  %s COMMAND", c.CommandPath())
	}
	fmt.Fprintln(w)
	if c.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", strings.TrimRight(c.Example, "\n"))
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprint(w, "\nCommands:\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(w, "  %-*s %s\n", sub.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	writeFlags(w, c.LocalFlags())
	if c.HasAvailableInheritedFlags() {
		fmt.Fprintf(w, "\nGlobal flags:\n%s", c.InheritedFlags().FlagUsagesWrapped(columns))
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n%s COMMAND --help explains a command.\n", c.CommandPath())
	}
	return nil
}

// writeFlags prints the flags of a command, in groups if there are many.
func writeFlags(w io.Writer, flags *pflag.FlagSet) {
	sets := make(map[group]*pflag.FlagSet)
	n := 0
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		n++
		g := groups[f.Name]
		if sets[g] == nil {
			sets[g] = pflag.NewFlagSet("", pflag.ContinueOnError)
		}
		sets[g].AddFlag(f)
	})
	switch {
	case n == 0:
	case n <= few:
		fmt.Fprintf(w, "\nFlags:\n%s", flags.FlagUsagesWrapped(columns))
	default:
		for g := own; g <= advanced; g++ {
			if sets[g] != nil {
				fmt.Fprintf(w, "\n%s:\n%s", titles[g], sets[g].FlagUsagesWrapped(columns))
			}
		}
	}
}
