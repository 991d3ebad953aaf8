package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/complete"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
)

// cmdComplete compares what the shell gets for a command line, whose last word is still typed, with what it
// should: "complete 'WORDS... :DIRECTIVE' LINE". A word "0 pbkdf2" is a value with the begin of what is said
// of it.
func cmdComplete(ts *testscript.TestScript, _ bool, args []string) {
	args = slices.Clone(args)
	ts.Check(ts.Exec("luksimg", append([]string{"__complete"}, args[1:]...)...))
	lines := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	for i, line := range lines {
		lines[i], _, _ = strings.Cut(line, "\t")
	}
	if got := strings.Join(lines, " "); got != args[0] {
		ts.Fatalf("got  %s\nwant %s", got, args[0])
	}
}

// TestCompletedValues looks for each value that is completed in the help of the flag, and for each value
// that a flag of a few words has by default.
func TestCompletedValues(t *testing.T) {
	known := 0
	eachVerb(func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			values := complete.Values(flags.Verb(c), f.Name)
			if len(values) == 0 {
				return
			}
			known++
			for _, v := range values {
				if !regexp.MustCompile(`(^|[^a-z0-9])`+regexp.QuoteMeta(v)+`($|[^a-z0-9])`).MatchString(f.Usage+" "+f.DefValue) && !sectorSize(f, v) {
					t.Errorf("%s --%s: %s is completed, and is not in the help: %s", flags.Verb(c), f.Name, v, f.Usage)
				}
			}
			if f.DefValue != "" && f.DefValue != "0" && !slices.Contains(values, f.DefValue) {
				t.Errorf("%s --%s: the default %s is not completed", flags.Verb(c), f.Name, f.DefValue)
			}
		})
	})
	if known < 50 {
		t.Errorf("%d flags with values only", known)
	}
}

// sectorSize tells whether v is one of LUKS2, which all are powers of two.
func sectorSize(f *pflag.Flag, v string) bool {
	return f.Name == "sector-size" && slices.Contains([]string{"512", "1024", "2048", "4096"}, v)
}

// TestCompletionOpensNoKey completes with key files that are pipes, and variables that name what is not there:
// nothing is read of them, and nothing is said.
func TestCompletionOpensNoKey(t *testing.T) {
	t.Chdir(t.TempDir())
	_, _, image := encryptedDisk(t, ".")
	for _, name := range environmentFiles {
		t.Setenv(name, "nowhere/file")
	}
	t.Setenv(envAPIKey, "@nowhere/key")
	if err := os.Symlink("nowhere", "key.link"); err != nil {
		t.Skip(err)
	}
	for _, line := range []string{
		"key test --key-file key.link --key-slot", "decrypt --key-file - --key-slot", "decrypt --kms ibm:CRN --clevis --key-slot",
	} {
		args := strings.Fields("__complete " + line)
		slot := args[len(args)-1]
		args = append(args[:len(args)-1], image, slot, "")
		code, out := runIn(t.Context(), args...)
		if code != 0 || !strings.HasPrefix(out, "0\tpbkdf2") {
			t.Errorf("%q: exit code %d: %s", args, code, out)
		}
	}
}
