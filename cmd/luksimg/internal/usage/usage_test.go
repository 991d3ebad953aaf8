package usage

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func shown(t *testing.T, c *cobra.Command) string {
	t.Helper()
	var b bytes.Buffer
	c.SetOut(&b)
	c.SetUsageFunc(Write)
	if err := c.Usage(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFew checks that a verb with few flags has one list.
func TestFew(t *testing.T) {
	c := &cobra.Command{Use: "x FILE", Example: "  x disk.raw", Run: func(*cobra.Command, []string) {}}
	c.Flags().String("key-file", "", "FILE with the key")
	c.Flags().Bool("secret", false, "not shown")
	c.Flags().MarkHidden("secret")
	want := "Usage:\n  x FILE [flags]\n\nExamples:\n  x disk.raw\n\nFlags:\n      --key-file string   FILE with the key\n"
	if got := shown(t, c); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestMany checks that each flag appears once, in the list of its group, and that long lines wrap.
func TestMany(t *testing.T) {
	c := &cobra.Command{Use: "x", Run: func(*cobra.Command, []string) {}}
	names := []string{"mine", "snapshot", "member", "key-file", "kms", "format", "force", "cipher", "cos-url", "network", "jobs", "progress", "pbkdf"}
	for _, n := range names {
		c.Flags().Bool(n, false, strings.Repeat("long text ", 20))
	}
	got := shown(t, c)
	last := -1
	for _, title := range []string{"\nFlags:", "\nSource flags:", "\nKey flags:", "\nOutput flags:", "\nService flags:", "\nAdvanced flags:"} {
		at := strings.Index(got, title)
		if at <= last {
			t.Errorf("%q at %d is before %d, want the order of the groups", title, at, last)
		}
		last = at
	}
	if strings.Contains(got, "Server flags") {
		t.Error("an empty group is printed")
	}
	for _, n := range names {
		if strings.Count(got, "--"+n+" ") != 1 {
			t.Errorf("--%s is shown %d times", n, strings.Count(got, "--"+n+" "))
		}
	}
	for line := range strings.Lines(got) {
		if len(line) > columns+1 {
			t.Errorf("a line of %d characters: %q", len(line), line)
		}
	}
}

// TestCommands checks the usage of a command with subcommands and inherited flags.
func TestCommands(t *testing.T) {
	root := &cobra.Command{Use: "x"}
	root.PersistentFlags().Bool("json", false, "as JSON")
	root.AddCommand(&cobra.Command{Use: "run FILE", Short: "Run it", Run: func(*cobra.Command, []string) {}})
	if got := shown(t, root); !strings.Contains(got, "Usage:\n  x COMMAND\n") || !strings.Contains(got, "\n  run         Run it\n") || !strings.Contains(got, "x COMMAND --help explains") {
		t.Error(got)
	}
	run, _, err := root.Find([]string{"run"})
	if err != nil {
		t.Fatal(err)
	}
	if got := shown(t, run); !strings.Contains(got, "\nGlobal flags:\n      --json   as JSON\n") {
		t.Error(got)
	}
}
