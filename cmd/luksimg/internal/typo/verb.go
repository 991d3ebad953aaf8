// Package typo suggests the verb or flag that a mistyped one means, and explains invalid values of flags. It never
// repeats a value, because people type passphrases in the place of file names.
package typo

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/internal/rest"
)

// verbSynonyms maps the names of verbs in other programs, mainly cryptsetup, to those of luksimg.
var verbSynonyms = map[string]string{
	"benchmark": "bench", "copy": "cp", "dump": "inspect", "erase": "header erase", "extract": "cp", "format": "encrypt", "info": "inspect",
	"luksaddkey": "key add", "lukschangekey": "key change", "luksconvertkey": "key convert", "luksdump": "inspect", "lukserase": "header erase",
	"luksformat": "encrypt", "luksheaderbackup": "header backup", "luksheaderrestore": "header restore", "lukskillslot": "key kill",
	"luksopen": "decrypt", "luksremovekey": "key remove", "luksuuid": "inspect", "mount": "serve", "nbd": "serve", "open": "decrypt",
	"repair": "header repair", "show": "inspect", "status": "shard status", "unlock": "decrypt",
}

// Verb returns an error if the arguments name a verb that root does not have. Its hint suggests the verb that was
// probably meant.
func Verb(root *cobra.Command, args []string) error {
	if len(args) > 0 && args[0] == "help" {
		args = args[1:]
	}
	c, rest, _ := root.Find(args)
	if !c.HasSubCommands() {
		return nil
	}
	typed, ok := firstArgument(c, rest)
	if !ok || typed == cobra.ShellCompRequestCmd || typed == cobra.ShellCompNoDescRequestCmd {
		return nil
	}
	return unknownVerb(c, typed)
}

// firstArgument returns the first argument that is neither a flag nor, by cobra's rules, the value of a flag.
func firstArgument(c *cobra.Command, args []string) (string, bool) {
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "--":
			return "", false
		case strings.HasPrefix(arg, "--"):
			name, _, hasValue := strings.Cut(arg[2:], "=")
			if !hasValue && c.Flags().Lookup(name) == nil && c.InheritedFlags().Lookup(name) == nil && name != "help" {
				i++
			}
		case len(arg) == 2 && arg[0] == '-':
			if short := arg[1:]; c.Flags().ShorthandLookup(short) == nil && c.InheritedFlags().ShorthandLookup(short) == nil && short != "h" {
				i++
			}
		case arg != "" && !strings.HasPrefix(arg, "-"):
			return arg, true
		}
	}
	return "", false
}

func unknownVerb(c *cobra.Command, typed string) error {
	err := fmt.Errorf("unknown command %q for %q", typed, c.CommandPath())
	var meant []string
	for _, name := range nearest(typed, verbs(c, false), verbSynonyms) {
		meant = append(meant, c.CommandPath()+" "+name)
	}
	if meant == nil {
		// It may be a verb of another group.
		for _, path := range verbs(c.Root(), true) {
			if simple(path[strings.LastIndex(path, " ")+1:]) == simple(typed) || verbSynonyms[simple(typed)] == path {
				meant = append(meant, c.Root().Name()+" "+path)
			}
		}
	}
	if len(meant) == 0 || len(meant) > most {
		return rest.WithHint(err, c.CommandPath()+" --help lists the commands")
	}
	return rest.WithHint(err, didYouMean(meant))
}

// verbs returns the names of the verbs of a command. If all is set it includes verbs below them, such as "key list".
func verbs(c *cobra.Command, all bool) []string {
	var names []string
	for _, sub := range c.Commands() {
		if !sub.IsAvailableCommand() && sub.Name() != "help" {
			continue
		}
		names = append(names, sub.Name())
		if all {
			for _, name := range verbs(sub, true) {
				names = append(names, sub.Name()+" "+name)
			}
		}
	}
	return names
}

// didYouMean returns a question that suggests the names.
func didYouMean(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return "did you mean " + names[0] + "?"
	}
	return "did you mean " + strings.Join(slices.Clone(names[:last]), ", ") + " or " + names[last] + "?"
}
