package typo

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/luksimg/luksimg/internal/rest"
)

// flagSynonyms maps the names of flags in other programs to those of luksimg.
var flagSynonyms = map[string]string{
	"key": "key-file", "masterkeyfile": "volume-key-file", "newkey": "new-key-file", "outputformat": "format", "overwrite": "force",
	"passphrase": "passphrase-file", "password": "passphrase-file", "passwordfile": "passphrase-file", "recursively": "recursive",
	"sourcekey": "source-key-file", "threads": "jobs", "to": "format", "type": "format", "workers": "jobs",
}

// wants lists what each type of pflag accepts. pflag's own errors would repeat the value. The types of luksimg have
// errors that say what they accept and do not repeat the value.
var wants = map[string]string{
	"bool":     "want true or false",
	"duration": "want a duration, such as 90s, 5m or 2h",
	"int":      "want a whole number",
	"int64":    "want a whole number",
	"intSlice": "want whole numbers, with commas between them",
	"uint32":   "want a whole number from 0 to 4294967295",
	"uint64":   "want a whole number that is not negative",
}

// Flag rewrites an error of pflag about the flags of c: it removes the value of the flag and adds a hint. It is for
// [cobra.Command.SetFlagErrorFunc].
func Flag(c *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	hint := c.CommandPath() + " --help lists the flags"
	if c.HasSubCommands() {
		hint = "the command comes first: " + c.CommandPath() + " --help lists the commands"
	}
	if e := new(pflag.NotExistError); errors.As(err, &e) {
		name, shown := e.GetSpecifiedName(), "--"+e.GetSpecifiedName()
		if group := e.GetSpecifiedShortnames(); group != "" {
			// The rest of the group can be a value, or the name of a flag after a single hyphen.
			name, _, _ = strings.Cut(group, "=")
			shown = "-" + e.GetSpecifiedName()
		}
		switch meant := nearest(name, flagNames(c), flagSynonyms); {
		case name == "O" && c.Flags().Lookup("format") != nil: // of qemu-img
			hint = didYouMean([]string{"--format"})
		case !c.HasSubCommands() && elsewhere(c, name):
			hint = "other commands have it; " + hint
		case meant != nil:
			for i := range meant {
				meant[i] = "--" + meant[i]
			}
			hint = didYouMean(meant)
		}
		return rest.WithHint(errors.New("unknown flag: "+shown), hint)
	}
	if e := new(pflag.ValueRequiredError); errors.As(err, &e) {
		return rest.WithHint(errors.New("flag needs an argument: --"+e.GetFlag().Name), hint)
	}
	if e := new(pflag.InvalidValueError); errors.As(err, &e) {
		want := errors.Unwrap(e).Error()
		if !strings.HasPrefix(want, "want ") {
			want = cmp.Or(wants[e.GetFlag().Value.Type()], "invalid value")
		}
		return rest.WithHint(fmt.Errorf("--%s: %s", e.GetFlag().Name, want), hint)
	}
	return rest.WithHint(errors.New("bad flag syntax: want --NAME VALUE or --NAME=VALUE"), hint)
}

// elsewhere reports whether another verb has a flag with this name, so that it is not a typing error.
func elsewhere(c *cobra.Command, name string) bool {
	var has func(*cobra.Command) bool
	has = func(c *cobra.Command) bool {
		f := c.Flags().Lookup(name)
		return f != nil && !f.Hidden || slices.ContainsFunc(c.Commands(), has)
	}
	return c.Flags().Lookup(name) == nil && has(c.Root())
}

// flagNames returns the names of the verb's flags.
func flagNames(c *cobra.Command) []string {
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	return names
}
