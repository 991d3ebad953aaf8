// Package flags defines the flags that many verbs share, and checks for combinations of flags.
package flags

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/internal/rest"
)

// Verb returns the name of a verb without the program's name, such as "key list".
func Verb(c *cobra.Command) string {
	_, verb, _ := strings.Cut(c.CommandPath(), " ")
	return verb
}

// Args returns a check for exactly the arguments in usage.
func Args(usage ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, got []string) error {
		if len(got) == len(usage) {
			return nil
		}
		hint := "usage: " + c.UseLine()
		if len(usage) == 0 && len(got) > 0 {
			hint = byFlag(c, hint)
		}
		return rest.WithHint(fmt.Errorf("%s takes %s, %d given", verb(c), count(len(usage)), len(got)), hint)
	}
}

// byFlag returns a hint for a verb without arguments that got one: the flag to use instead.
func byFlag(c *cobra.Command, otherwise string) string {
	var names []string
	for _, n := range []string{"image", "token"} {
		if c.Flags().Lookup(n) != nil {
			names = append(names, "--"+n)
		}
	}
	switch {
	case len(names) > 0:
		return "name the image with " + strings.Join(names, " or ")
	case c.Flags().Lookup("root-key-crn") != nil && !c.Flags().Changed("root-key-crn"):
		return "name the root key with --root-key-crn CRN"
	}
	return otherwise
}

// verb returns the name of a verb with the groups that it is in.
func verb(c *cobra.Command) string {
	_, name, _ := strings.Cut(c.CommandPath(), " ")
	return name
}

// InPlace returns a check like [Args] for one argument, which the flag replaces.
func InPlace(flag, argument string) cobra.PositionalArgs {
	return func(c *cobra.Command, got []string) error {
		if !c.Flags().Changed(flag) {
			return Args(argument)(c, got)
		}
		if len(got) > 0 {
			return rest.WithHint(fmt.Errorf("--%s and %s exclude each other", flag, argument), "leave one of them out")
		}
		return nil
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

// AtMostOne returns an error if more than one of the flags is set.
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
