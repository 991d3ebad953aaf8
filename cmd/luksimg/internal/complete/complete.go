// Package complete has the shell complete the arguments and the flags of all verbs. It looks into images
// that are on the command line, by their headers alone: it reads no key, asks nothing, and contacts nobody.
package complete

import (
	"cmp"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
)

// A Kind says what an argument or a flag names.
type Kind int

// The kinds. Any file may be a key or an image, so that no name of a file is left out.
const (
	Text    Kind = iota // no file
	File                // a file, old or new
	RootKey             // a root key by its URI, or the file of one
	Policy              // a policy that is built in, or the file of one
)

// Kinds says what is named on the command line of each verb.
type Kinds struct {
	Arg  func(c *cobra.Command, i int) Kind // argument i of c; Text if there is no such argument
	Flag func(c *cobra.Command, name string) Kind
}

// Asked tells whether the arguments of the program are a question of the shell.
func Asked(args []string) bool {
	return len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
}

// Register makes root answer the questions of the shell. It is for runs that are [Asked]: others do
// without what it takes.
func Register(root *cobra.Command, kinds Kinds) {
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.PersistentPreRunE = nil
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		// What cobra adds by itself completes by itself.
		if c.Runnable() && !c.HasSubCommands() && c.Name() != "help" {
			c.ValidArgsFunction = func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
				return argument(c, kinds, args, typed)
			}
			c.Flags().VisitAll(func(f *pflag.Flag) {
				c.RegisterFlagCompletionFunc(f.Name, func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
					return value(c, kinds, f, args, typed)
				})
			})
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

// argument completes the argument behind args.
func argument(c *cobra.Command, kinds Kinds, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	at := place{flags.Verb(c), len(args)}
	switch {
	case objects[at]:
		return only([]string{"cos://"}, typed), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	case folders[at]:
		return nil, cobra.ShellCompDirectiveFilterDirs
	case at == (place{"key kill", 1}):
		return only(usedSlots(c, args), typed), cobra.ShellCompDirectiveNoFileComp
	}
	return named(kinds.Arg(c, len(args)), typed)
}

// value completes the value of a flag.
func value(c *cobra.Command, kinds Kinds, f *pflag.Flag, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	verb := flags.Verb(c)
	ask, ok := asked[verb+" "+f.Name]
	if !ok {
		ask, ok = asked[f.Name]
	}
	if ok {
		return only(ask(c, args), typed), cobra.ShellCompDirectiveNoFileComp
	}
	if values := Values(verb, f.Name); len(values) > 0 {
		return only(values, typed), cobra.ShellCompDirectiveNoFileComp
	}
	switch {
	case f.Value.Type() == "bool":
		return only([]string{"true", "false"}, typed), cobra.ShellCompDirectiveNoFileComp
	case f.Name == "scratch-dir", f.Name == "tls-certificates":
		return nil, cobra.ShellCompDirectiveFilterDirs
	case f.Name == "object":
		return only([]string{"cos://"}, typed), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	}
	return named(kinds.Flag(c, f.Name), typed)
}

// named completes what is of a kind.
func named(k Kind, typed string) ([]string, cobra.ShellCompDirective) {
	switch k {
	case File:
		return nil, cobra.ShellCompDirectiveDefault
	case Policy:
		// If it is none of them, the shell completes files.
		return only(policies(), typed), cobra.ShellCompDirectiveDefault
	case RootKey:
		if file, ok := strings.CutPrefix(typed, local); ok {
			return files(local, file)
		}
		return only(schemes, typed), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// only are the values that begin with what was typed.
func only(values []string, typed string) []string {
	var fit []string
	for _, v := range values {
		if strings.HasPrefix(v, typed) {
			fit = append(fit, v)
		}
	}
	return fit
}

// files completes the name of a file that has a prefix in front of it.
func files(prefix, typed string) ([]string, cobra.ShellCompDirective) {
	dir, begin := "", typed
	if i := strings.LastIndexByte(typed, '/'); i >= 0 {
		dir, begin = typed[:i+1], typed[i+1:]
	}
	entries, err := os.ReadDir(cmp.Or(dir, "."))
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	directive := cobra.ShellCompDirectiveNoFileComp
	var found []string
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, begin) || begin == "" && name[0] == '.' || !plain(name) {
			continue
		}
		if e.IsDir() {
			name += "/"
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		found = append(found, prefix+dir+name)
	}
	return found, directive
}
