package typo

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/luksimg/luksimg/internal/rest"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"encrypt", "encrypt", 0}, {"encypt", "encrypt", 1}, {"encryt", "encrypt", 1},
		{"kitten", "sitting", 3}, {"ab", "ba", 1}, {"ca", "abc", 3}, {"lst", "list", 1}, {strings.Repeat("a", 65), "a", 65},
		{strings.Repeat("a", 64), strings.Repeat("b", 64), 64},
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %d mistakes, want %d", c.a, c.b, got, c.want)
		}
		if there, back := distance(c.a, c.b), distance(c.b, c.a); there != back {
			t.Errorf("%q and %q: %d mistakes, and %d the other way", c.a, c.b, there, back)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"key-file", "key-fd", "key-slot", "passphrase-encoding", "passphrase-file", "force", "format", "jobs", "kms"}
	for typed, want := range map[string]string{
		"keyfile": "key-file", "KEY_FILE": "key-file", "key-fiel": "key-file", "pass": "passphrase-file passphrase-encoding",
		"password": "passphrase-file", "slot": "key-slot", "for": "force format", "forse": "force", "threads": "jobs", "": "", "-": "", "x": "",
		"nonesuch": "", "kns": "kms", "workers": "jobs", "pasphrase": "passphrase-file", "threds": "jobs", strings.Repeat("x", 10000): "",
	} {
		if got := strings.Join(nearest(typed, names, flagSynonyms), " "); got != want {
			t.Errorf("%.20q: %q, want %q", typed, got, want)
		}
	}
	// The number of suggestions is limited.
	if got := nearest("aaaa", []string{"aaab", "aaac", "aaad", "aaae"}, nil); !slices.Equal(got, []string{"aaab", "aaac", "aaad"}) {
		t.Error(got)
	}
}

// testRoot returns a program with a group and a verb.
func testRoot() *cobra.Command {
	run := func(*cobra.Command, []string) {}
	root := &cobra.Command{Use: "prog", Run: run, SilenceErrors: true, SilenceUsage: true, DisableSuggestions: true}
	root.PersistentFlags().BoolP("quiet", "q", false, "")
	root.SetFlagErrorFunc(Flag)
	group := &cobra.Command{Use: "key", Run: run}
	verb := &cobra.Command{Use: "list", Run: run}
	verb.Flags().Int("slot", 0, "")
	verb.Flags().Bool("long", false, "")
	verb.Flags().String("key-file", "", "")
	verb.Flags().Duration("wait", 0, "")
	verb.Flags().IntSlice("slots", nil, "")
	verb.Flags().Uint32("lanes", 0, "")
	verb.Flags().Float64("share", 0, "")
	verb.Flags().Var(refusing{}, "size", "")
	group.AddCommand(verb)
	root.AddCommand(group, &cobra.Command{Use: "encrypt", Run: run})
	root.InitDefaultHelpCmd()
	return root
}

// refusing is the value of a flag that refuses every text.
type refusing struct{}

func (refusing) String() string   { return "" }
func (refusing) Type() string     { return "int" }
func (refusing) Set(string) error { return errors.New("want a size") }

// TestVerb checks the error and the hint of each command line.
func TestVerb(t *testing.T) {
	for line, want := range map[string]string{
		"":                     "",
		"-q":                   "",
		"--help":               "",
		"encrypt x":            "",
		"key":                  "",
		"key list encypt":      "",
		"help key":             "",
		"__complete encypt":    "",
		"__completeNoDesc key": "",
		"-- encypt":            "",
		"--quiet encypt":       "did you mean prog encrypt?",
		"-q encypt":            "did you mean prog encrypt?",
		"--nonesuch v encypt":  "did you mean prog encrypt?",
		"-p secret encypt":     "did you mean prog encrypt?",
		"-p secret":            "",
		"--password secret":    "",
		"key --nonesuch=v lst": "did you mean prog key list?",
		"key -p secret lst":    "did you mean prog key list?",
		"key -p secret":        "",
		"list":                 "did you mean prog key list?",
		"help encypt":          "did you mean prog encrypt?",
		"luksFormat":           "did you mean prog encrypt?",
		"xyzzy":                "prog --help lists the commands",
		"key xyzzy":            "prog key --help lists the commands",
	} {
		err := Verb(testRoot(), strings.Fields(line))
		if (err != nil) != (want != "") || rest.Hint(err) != want {
			t.Errorf("%s: %v, hint %q, want %q", line, err, rest.Hint(err), want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error contains the secret: %v", line, err)
		}
	}
}

// TestFlag checks the error and the hint of each command line. Neither may contain the value.
func TestFlag(t *testing.T) {
	for line, want := range map[string]string{
		"--keyfile secret":    "unknown flag: --keyfile; did you mean --key-file?",
		"--keyfile=secret":    "unknown flag: --keyfile; did you mean --key-file?",
		"--nonesuch secret":   "unknown flag: --nonesuch; prog key list --help lists the flags",
		"-psecret":            "unknown flag: -p; prog key list --help lists the flags",
		"-p=secret":           "unknown flag: -p; prog key list --help lists the flags",
		"-key-file=secret":    "unknown flag: -k; did you mean --key-file?",
		"--key-file":          "flag needs an argument: --key-file; prog key list --help lists the flags",
		"--slot secret":       "--slot: want a whole number; prog key list --help lists the flags",
		"--slot=9999999999x":  "--slot: want a whole number; prog key list --help lists the flags",
		"--long=secret":       "--long: want true or false; prog key list --help lists the flags",
		"--wait secret":       "--wait: want a duration, such as 90s, 5m or 2h; prog key list --help lists the flags",
		"--slots 1,secret":    "--slots: want whole numbers, with commas between them; prog key list --help lists the flags",
		"--lanes secret":      "--lanes: want a whole number from 0 to 4294967295; prog key list --help lists the flags",
		"--share secret":      "--share: invalid value; prog key list --help lists the flags",
		"--size secret":       "--size: want a size; prog key list --help lists the flags",
		"--=secret":           "bad flag syntax: want --NAME VALUE or --NAME=VALUE; prog key list --help lists the flags",
		"---key-file=secret":  "bad flag syntax: want --NAME VALUE or --NAME=VALUE; prog key list --help lists the flags",
		"-q=secret":           "--quiet: want true or false; prog key list --help lists the flags",
		"--slots 1,2 --slo 3": "unknown flag: --slo; did you mean --slot?",
	} {
		root := testRoot()
		root.SetArgs(append([]string{"key", "list"}, strings.Fields(line)...))
		err := root.Execute()
		if err == nil {
			t.Errorf("%s: no error", line)
			continue
		}
		if got := err.Error() + "; " + rest.Hint(err); got != want {
			t.Errorf("%s: %s\nwant %s", line, got, want)
		}
	}
	root := testRoot()
	root.SetArgs([]string{"key", "--slot", "1"})
	if err := root.Execute(); err == nil || rest.Hint(err) != "the command comes first: prog key --help lists the commands" {
		t.Errorf("%v, hint %q", err, rest.Hint(err))
	}
	if err := Flag(root, pflag.ErrHelp); err != pflag.ErrHelp {
		t.Error(err)
	}
}
