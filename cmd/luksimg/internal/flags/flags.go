// Package flags has the flags that many verbs share, and checks of what is given together.
package flags

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/internal/rest"
)

// Verb is the name of a verb without that of the program, such as "key list".
func Verb(c *cobra.Command) string {
	_, verb, _ := strings.Cut(c.CommandPath(), " ")
	return verb
}

// Args returns a check that there are exactly the arguments in usage.
func Args(usage ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, got []string) error {
		if len(got) == len(usage) {
			return nil
		}
		hint := "usage: " + c.UseLine()
		if f := c.Flags().Lookup("root-key-crn"); f != nil && len(usage) == 0 {
			hint = "name the root key with --root-key-crn CRN"
		}
		return rest.WithHint(fmt.Errorf("%s takes %s, %d given", c.Name(), count(len(usage)), len(got)), hint)
	}
}

func count(n int) string {
	switch n {
	case 0:
		return "no arguments"
	case 1:
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
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
