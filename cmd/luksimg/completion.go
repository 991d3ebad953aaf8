package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/complete"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
)

// completionKinds returns what the shell can complete for each argument and flag, from the tables of uses.
func completionKinds() complete.Kinds {
	return complete.Kinds{
		Arg: func(c *cobra.Command, i int) complete.Kind {
			if n := len(argUses[flags.Verb(c)]); n == 0 || i >= n && !strings.Contains(c.Use, "...") {
				return complete.Text
			}
			u, _ := argUse(c, i)
			return u.completed()
		},
		Flag: func(c *cobra.Command, name string) complete.Kind {
			u, _ := flagUse(flags.Verb(c), name)
			return u.completed()
		},
	}
}

// completed returns how the shell completes a name of this use.
func (u use) completed() complete.Kind {
	switch {
	case u&(reads|writes) == 0, u&fd != 0:
		return complete.Text
	case u&kms != 0:
		return complete.RootKey
	case u&builtin != 0:
		return complete.Policy
	}
	return complete.File
}
