package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/image/web"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/luks/policy"
	"github.com/luksimg/luksimg/wrap/kmsuri"
	"github.com/luksimg/luksimg/wrap/local"
)

// flagUse returns the use of a flag, and whether the table has one.
func flagUse(verb, flag string) (use, bool) {
	u, ok := flagUses[verb+" "+flag]
	if !ok {
		u, ok = flagUses[flag]
	}
	return u, ok
}

// argUse returns the use of argument i, and its name in the usage line.
func argUse(c *cobra.Command, i int) (use, string) {
	uses := argUses[flags.Verb(c)]
	if len(uses) == 0 {
		return noFile, ""
	}
	i = min(i, len(uses)-1)
	what := "an argument"
	if names := strings.Fields(c.Use)[1:]; i < len(names) {
		what = strings.Trim(names[i], "[].")
	}
	return uses[i], what
}

// claim registers all files that the command line and the environment name. It runs before the verb.
func (g *global) claim(c *cobra.Command, args []string) error {
	for i, name := range args {
		u, what := argUse(c, i)
		if err := g.use(u, what, name); err != nil {
			return err
		}
	}
	var err error
	c.Flags().Visit(func(f *pflag.Flag) {
		u, _ := flagUse(flags.Verb(c), f.Name)
		values := []string{f.Value.String()}
		if v, ok := f.Value.(pflag.SliceValue); ok {
			values = v.GetSlice()
		}
		for _, name := range values {
			if err == nil {
				err = g.use(u, "--"+f.Name, name)
			}
		}
	})
	if err != nil {
		return err
	}
	for _, name := range environmentFiles {
		if file := os.Getenv(name); file != "" {
			if err := g.files.Read("$"+name, file); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{envAPIKey, envSLKey, hmacNames[0][1], hmacNames[1][1], envVaultToken} {
		if file, ok := strings.CutPrefix(os.Getenv(name), "@"); ok {
			if err := g.files.Read("$"+name, file); err != nil {
				return err
			}
		}
	}
	if err := g.files.CheckHeaders(); err != nil {
		return err
	}
	// The shell may have redirected standard output to a file. That file is an output too, unless "-" is registered
	// already.
	if !g.files.Writes("-") {
		if fi, err := os.Stdout.Stat(); err == nil && fi.Mode().IsRegular() {
			return g.files.Write("standard output", "-")
		}
	}
	return nil
}

// use registers a file that the command line names.
func (g *global) use(u use, what, name string) error {
	switch {
	case u&(reads|writes) == 0 || name == "":
		return nil
	case u&builtin != 0 && slices.Contains(policy.Names(), name):
		return nil
	case u&fd != 0:
		name = "/dev/fd/" + name
	case u&kms != 0 && strings.HasPrefix(name, string(kmsuri.PKCS11)+":"):
		t, err := kmsuri.ParseToken(name[len(kmsuri.PKCS11)+1:])
		if err != nil {
			return nil // the verb reports the error
		}
		for _, file := range []string{t.ModulePath, t.PINSource} {
			if file != "" {
				if err := g.files.Read(what, file); err != nil {
					return err
				}
			}
		}
		return nil
	case u&kms != 0:
		var ok bool
		if name, ok = strings.CutPrefix(name, local.Prefix); !ok {
			return nil
		}
	case u&inside != 0:
		name, _ = cutImage(name)
	case web.Is(name) && u&writes != 0:
		return rest.WithHint(fmt.Errorf("%s is an output, but %s is on a web server", what, shown(name)), "write a file, or an object: cos://REGION/BUCKET/OBJECT")
	case name == "-" && u&changes == changes:
		return fmt.Errorf("%s is changed in place, which standard input cannot be: name a file", what)
	case name == "-" && u&stream == 0:
		return fmt.Errorf("%s needs the name of a file, not -", what)
	}
	switch u & changes {
	case reads:
		return g.readSource(what, name)
	case writes:
		return g.files.Replace(what, name)
	}
	return g.files.Write(what, name)
}

// readSource registers a file to read, or the folder of a container image.
func (g *global) readSource(what, name string) error {
	if isLayout(name) {
		name = layoutFolder(name)
	}
	return g.files.Read(what, name)
}
