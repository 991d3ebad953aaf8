package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/wrap/local"
)

// notFiles are the flags whose value is text that does not name a file.
var notFiles = strings.Fields(`account api-key-name billing boot-key-crn bucket changed-source cipher class
	compression cos-instance-crn cos-url datacenter disk domain format hash hostname iam-url image
	key-ring kms-instance-crn kms-url label logs-url name network new-key-ring note object os-code pbkdf profile progress query region
	root-key-crn new-root-key-crn root-key-name server service service-id snapshot softlayer-url source-format source-sha256
	ssh-key standard-key subnet subsystem syntax target tier uuid vpc vpc-profile vpc-url wrapped-dek zone
	listen shard socket sss tang thp tls-certificates scratch-dir member oci-image`)

// namesNothing reports whether the type of a flag excludes the name of a file.
func namesNothing(f *pflag.Flag) bool {
	return !strings.HasPrefix(f.Value.Type(), "string") && !strings.HasSuffix(f.Name, "-fd")
}

// eachVerb calls f with every runnable command.
func eachVerb(f func(c *cobra.Command)) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Runnable() && !c.HasSubCommands() {
			f(c)
		}
		for _, s := range c.Commands() {
			walk(s)
		}
	}
	walk(newRoot())
}

// TestUses checks that the tables of uses list every argument and every flag of every verb, and nothing else.
func TestUses(t *testing.T) {
	known := map[string]bool{}
	eachVerb(func(c *cobra.Command) {
		verb := flags.Verb(c)
		names := strings.Fields(strings.TrimSuffix(c.Use, " [flags]"))[1:]
		if len(argUses[verb]) != len(names) {
			t.Errorf("%s has the arguments %v, and argUses %d", verb, names, len(argUses[verb]))
		}
		known[verb] = true
		c.Flags().VisitAll(func(f *pflag.Flag) {
			known[f.Name], known[verb+" "+f.Name] = true, true
			if _, ok := flagUse(verb, f.Name); !ok && !namesNothing(f) && !slices.Contains(notFiles, f.Name) {
				t.Errorf("%s --%s: flagUses does not say whether it names a file that is read or written, nor is it in notFiles", verb, f.Name)
			}
		})
	})
	for verb := range argUses {
		if !known[verb] {
			t.Errorf("argUses has the unknown verb %s", verb)
		}
	}
	for flag := range flagUses {
		if !known[flag] {
			t.Errorf("flagUses has the flag %s, which no verb has", flag)
		}
	}
}

// A place is an argument or a flag of a verb that can name a file.
type place struct {
	use
	arg  int // -1 for a flag
	flag string
}

func (p place) String() string {
	if p.arg < 0 {
		return "--" + p.flag
	}
	return fmt.Sprintf("argument %d", p.arg+1)
}

func placesOf(c *cobra.Command) (all []place) {
	for i, u := range argUses[flags.Verb(c)] {
		if u != noFile {
			all = append(all, place{u, i, ""})
		}
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if u, _ := flagUse(flags.Verb(c), f.Name); u != noFile {
			all = append(all, place{u, -1, f.Name})
		}
	})
	return all
}

// withFiles returns a command line of a verb with the given files in some places. It adds files for the other
// required arguments.
func withFiles(t *testing.T, c *cobra.Command, files map[place]string) []string {
	line := strings.Fields(flags.Verb(c))
	instead := slices.ContainsFunc(slices.Collect(maps.Keys(files)), func(p place) bool { return flags.Verb(c)+" "+p.flag == "deploy job" }) // of SRC
	for i, u := range argUses[flags.Verb(c)] {
		if instead {
			break
		}
		name := fmt.Sprintf("other-%d", i)
		if u == noFile {
			name = "1"
		}
		for p, file := range files {
			if p.arg == i {
				name = file
			}
		}
		line = append(line, name)
	}
	for p, file := range files {
		switch {
		case p.arg >= 0:
			continue
		case p.use&kms != 0:
			file = local.Prefix + file
		case p.use&fd != 0:
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			file = fmt.Sprint(f.Fd())
		}
		line = append(line, "--"+p.flag, file)
	}
	if c.Flags().Lookup("force") != nil {
		line = append(line, "--force")
	}
	return line
}

// contentsOf returns the contents of the files in the folder.
func contentsOf(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = e.Type().String() + string(b)
	}
	return all
}

// TestNoOutputIsAnInput gives one file to every pair of an input and an output, and of two outputs, of every verb.
func TestNoOutputIsAnInput(t *testing.T) {
	t.Chdir(t.TempDir())
	content := bytes.Repeat([]byte("what is not to be lost\n"), 1000)
	for _, name := range []string{"shared", "other-0", "other-1"} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link("shared", "hard"); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink("shared", "soft"); err != nil {
		t.Skip(err)
	}
	before := contentsOf(t)
	pairs := 0
	eachVerb(func(c *cobra.Command) {
		all := placesOf(c)
		for i, a := range all {
			for _, b := range all[i+1:] {
				if (a.use|b.use)&writes == 0 {
					continue
				}
				pairs++
				names := []string{"shared", "hard", "soft", "./../" + filepath.Base(mustGetwd(t)) + "/shared"}
				if (a.use|b.use)&fd == 0 && a.use&b.use&writes != 0 {
					names = append(names, "new")
				}
				for _, name := range names {
					first := "shared"
					if name == "new" {
						first = name
					}
					for _, files := range []map[place]string{{a: first, b: name}, {a: name, b: first}} {
						line := withFiles(t, c, files)
						var stdout, stderr bytes.Buffer
						code := run(context.Background(), line, &stdout, &stderr)
						if code != exit.Failure || !strings.Contains(stderr.String(), "are the same file") && flags.Verb(c) != "keygen" {
							t.Errorf("%s and %s: %v: exit code %d, %s", a, b, line, code, stderr.String())
						}
						if after := contentsOf(t); len(after) != len(before) {
							t.Fatalf("%v: %d files became %d", line, len(before), len(after))
						} else {
							for name, was := range before {
								if after[name] != was {
									t.Fatalf("%v: %s changed", line, name)
								}
							}
						}
					}
				}
			}
		}
	})
	if pairs < 100 {
		t.Errorf("only %d pairs were tried", pairs)
	}
}

func mustGetwd(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestStandardStreamsAreFilesToo checks the files to which the shell redirects.
func TestStandardStreamsAreFilesToo(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("disk", make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile("disk", os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in, out := os.Stdin, os.Stdout
	defer func() { os.Stdin, os.Stdout = in, out }()
	for _, c := range []struct {
		line    string
		in, out *os.File
	}{
		{"encrypt --generate-key k --force - disk", f, out},
		{"convert disk -", in, f},
		{"inspect disk", in, f},
		{"audit --image x -", f, f},
	} {
		os.Stdin, os.Stdout = c.in, c.out
		var stdout, stderr bytes.Buffer
		code := run(context.Background(), strings.Fields(c.line), &stdout, &stderr)
		if code != exit.Failure || !strings.Contains(stderr.String(), "are the same file") {
			t.Errorf("%s: exit code %d, %s", c.line, code, stderr.String())
		}
	}
	if fi, err := f.Stat(); err != nil || fi.Size() != 4096 {
		t.Errorf("the disk changed: %v", err)
	}
}
