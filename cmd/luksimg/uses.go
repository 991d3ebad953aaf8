package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/luksimg/luksimg/wrap/local"
)

// A use says what a verb does with what an argument or a flag names.
type use int

const (
	reads  use = 1 << iota // a file, or an object
	writes                 // a file that is new, or replaced as a whole
	stream                 // it may be "-": standard input if it is read, else standard output
	fd                     // the number of an open file
	kms                    // local:FILE

	noFile use = 0

	// changes is for what is written in place, or is read and written anew.
	changes = reads | writes
)

// argUses are the uses of the arguments of all verbs that have any. The last one is that of
// all further arguments.
var argUses = map[string][]use{
	"audit":          {reads | stream},
	"cat":            {reads | stream},
	"convert":        {reads | stream, writes | stream},
	"decrypt":        {reads | stream, writes | stream},
	"deploy":         {reads},
	"download":       {reads, writes | stream}, // "-" is refused with a word on cat
	"encrypt":        {reads | stream, writes | stream},
	"export":         {noFile, noFile},
	"header backup":  {reads | stream, writes | stream},
	"header convert": {changes},
	"header erase":   {changes},
	"header repair":  {changes},
	"header restore": {changes, reads | stream},
	"import":         {noFile},
	"inspect":        {reads | stream},
	"key add":        {changes},
	"key change":     {changes},
	"key convert":    {changes},
	"key kill":       {changes, noFile},
	"key list":       {reads | stream},
	"key remove":     {changes},
	"key test":       {reads | stream},
	"keygen":         {writes | stream},
	"man":            {noFile}, // a folder; nothing is read
	"measure":        {reads | stream},
	"order":          {noFile},
	"reencrypt":      {reads | stream, writes},
	"token add":      {changes},
	"token export":   {reads | stream},
	"token list":     {reads | stream},
	"token remove":   {changes},
	"unwrap":         {writes | stream},
	"upload":         {reads | stream, noFile}, // "-" is for --abort
	"verify":         {reads | stream, reads | stream},
}

// flagUses are the uses of all flags that name files. What a flag is for one verb alone
// has the verb before its name.
var flagUses = map[string]use{
	"add-key-file":           reads | stream,
	"audit-log":              writes,
	"deploy envelope":        changes,
	"deploy image":           changes,
	"encrypt header":         writes,
	"envelope":               reads | stream,
	"generate-key":           writes,
	"header":                 reads | stream,
	"ibm-api-key-file":       reads,
	"json-file":              reads | stream,
	"keep-key":               writes,
	"key-fd":                 reads | fd,
	"key-file":               reads | stream,
	"keygen kms":             writes | kms,
	"kms":                    reads | kms,
	"manifest":               writes,
	"new-key-fd":             reads | fd,
	"new-key-file":           reads | stream,
	"new-kms":                reads | kms,
	"new-passphrase-file":    reads | stream,
	"passphrase-file":        reads | stream,
	"rewrap envelope":        changes,
	"setup api-key-file":     writes,
	"source-key-fd":          reads | fd,
	"source-key-file":        reads | stream,
	"source-passphrase-file": reads | stream,
	"state":                  changes,
	"token export json-file": writes | stream,
	"unwrap image":           reads,
	"user-data-file":         reads,
	"volume-key-file":        reads | stream,
	"wrap envelope":          writes,
	"wrap image":             reads,
}

// verbOf is the name of a verb without that of the program.
func verbOf(c *cobra.Command) string {
	_, verb, _ := strings.Cut(c.CommandPath(), " ")
	return verb
}

// flagUse is the use of a flag, and whether it is in the table.
func flagUse(verb, flag string) (use, bool) {
	if u, ok := flagUses[verb+" "+flag]; ok {
		return u, true
	}
	u, ok := flagUses[flag]
	return u, ok
}

// argUse is the use of the argument with a number, and what usage calls it.
func argUse(c *cobra.Command, i int) (use, string) {
	uses := argUses[verbOf(c)]
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

// claim claims all files that the command line and the environment name. It is called before
// the verb runs.
func (g *global) claim(c *cobra.Command, args []string) error {
	for i, name := range args {
		u, what := argUse(c, i)
		if err := g.use(u, what, name); err != nil {
			return err
		}
	}
	var err error
	c.Flags().Visit(func(f *pflag.Flag) {
		u, _ := flagUse(verbOf(c), f.Name)
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
	for _, name := range []string{envAPIKey, envSLKey, hmacNames[0][1], hmacNames[1][1]} {
		if file, ok := strings.CutPrefix(os.Getenv(name), "@"); ok {
			if err := g.files.Read("$"+name, file); err != nil {
				return err
			}
		}
	}
	if err := g.files.CheckHeaders(); err != nil {
		return err
	}
	// What the shell opened is an output too; by another name it is one already.
	if !g.files.Writes("-") {
		if fi, err := os.Stdout.Stat(); err == nil && fi.Mode().IsRegular() {
			return g.files.Write("standard output", "-")
		}
	}
	return nil
}

// use claims a file that is named on the command line.
func (g *global) use(u use, what, name string) error {
	switch {
	case u&(reads|writes) == 0 || name == "":
		return nil
	case u&fd != 0:
		name = "/dev/fd/" + name
	case u&kms != 0:
		var ok bool
		if name, ok = strings.CutPrefix(name, local.Prefix); !ok {
			return nil
		}
	case name == "-" && u&changes == changes:
		return fmt.Errorf("%s is read and changed, which standard input can not be: it needs the name of a file", what)
	case name == "-" && u&stream == 0:
		return fmt.Errorf("%s needs the name of a file, not -", what)
	}
	switch u & changes {
	case reads:
		return g.files.Read(what, name)
	case writes:
		return g.files.Replace(what, name)
	}
	return g.files.Write(what, name)
}
