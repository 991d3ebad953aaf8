// Package complete makes the shell complete the arguments and flags of all verbs. It reads only the headers of images
// on the command line. It reads no key, asks no question, and uses no network.
package complete

import (
	"cmp"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
)

// A Kind says how to complete an argument or a flag.
type Kind int

// The kinds. A key or an image can be any file, so completion offers all files.
const (
	Text    Kind = iota // not a file
	File                // a file, old or new
	RootKey             // the URI of a root key
	Policy              // a built-in policy or a file
)

// Kinds returns the kind of each argument and flag of a verb.
type Kinds struct {
	Arg  func(c *cobra.Command, i int) Kind // argument i of c; Text if c has no such argument
	Flag func(c *cobra.Command, name string) Kind
}

// Asked reports whether the program's arguments are a completion request of the shell.
func Asked(args []string) bool {
	return len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
}

// Register makes root answer completion requests. Call it only if [Asked] returns true, because it costs startup
// time.
func Register(root *cobra.Command, kinds Kinds) {
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.PersistentPreRunE = nil
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		// Skip the commands that cobra adds: they complete themselves.
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

// argument completes the argument after args.
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

// named completes a name of kind k.
func named(k Kind, typed string) ([]string, cobra.ShellCompDirective) {
	switch k {
	case File:
		return nil, cobra.ShellCompDirectiveDefault
	case Policy:
		// If no policy matches, the shell completes files.
		return only(policies(), typed), cobra.ShellCompDirectiveDefault
	case RootKey:
		if file, ok := strings.CutPrefix(typed, local); ok {
			return files(local, file)
		}
		return only(schemes, typed), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// only returns the values that begin with the typed text.
func only(values []string, typed string) []string {
	var fit []string
	for _, v := range values {
		if strings.HasPrefix(v, typed) {
			fit = append(fit, v)
		}
	}
	return fit
}

// files completes the name of a file after a prefix.
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
