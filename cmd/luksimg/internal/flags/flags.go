// Package flags has the flags that many verbs share, and checks of what is given together.
package flags

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/internal/rest"
)

// Args returns a check that there are exactly the arguments in usage.
func Args(usage ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, got []string) error {
		if len(got) == len(usage) {
			return nil
		}
		return rest.WithHint(fmt.Errorf("%s takes %d arguments, %d given", c.Name(), len(usage), len(got)),
			"usage: "+c.UseLine())
	}
}

// AtMostOne refuses flags that stand for the same thing.
func AtMostOne(c *cobra.Command, names ...string) error {
	var used []string
	for _, n := range names {
		if c.Flags().Changed(n) {
			used = append(used, "--"+n)
		}
	}
	if len(used) > 1 {
		return fmt.Errorf("%s exclude each other", strings.Join(used, " and "))
	}
	return nil
}
