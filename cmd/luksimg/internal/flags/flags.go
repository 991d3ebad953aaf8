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
		if len(usage) == 0 && len(got) > 0 {
			hint = byFlag(c, hint)
		}
		return rest.WithHint(fmt.Errorf("%s takes %s, %d given", verb(c), count(len(usage)), len(got)), hint)
	}
}

// byFlag tells which flag names what was given as an argument to a verb that has none.
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

// verb is the name of a verb, with those of the groups that it is in.
func verb(c *cobra.Command) string {
	_, name, _ := strings.Cut(c.CommandPath(), " ")
	return name
}

// InPlace is [Args], but without the argument if a flag is there that stands for it.
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
