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

// cmdComplete compares the completions of a command line, whose last word is incomplete, with the expected ones:
// "complete 'WORDS... :DIRECTIVE' LINE". A word "0 pbkdf2" is a value with the beginning of its description.
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

// TestCompletedValues checks that the help of a flag lists each value that is completed, and that each default is
// completed.
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
					t.Errorf("%s --%s: %s is completed, but not in the help: %s", flags.Verb(c), f.Name, v, f.Usage)
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

// sectorSize reports whether v is a sector size of LUKS2. All of them are powers of two.
func sectorSize(f *pflag.Flag, v string) bool {
	return f.Name == "sector-size" && slices.Contains([]string{"512", "1024", "2048", "4096"}, v)
}

// TestCompletionOpensNoKey completes with pipes as key files and with variables that name missing files. Completion
// must not read them or print errors.
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
