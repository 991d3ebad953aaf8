package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
)

// TestTypedSecret types a passphrase in the place of a flag's value. The output must not contain it.
func TestTypedSecret(t *testing.T) {
	const secret = "hunter2"
	for _, line := range []string{
		"--passphrase=", "--passphrase ", "--password ", "-p", "-p ", "-p=", "--key-fd ", "--key-fd=", "--key-slot=", "--clevis=", "--passphrase-encoding ",
		"--kdf-memory-limit=", "--kdf-work-limit ", "--partition ", "---key=", "--=", "-q=",
	} {
		for _, front := range []string{"key test ", "key ", "", "key test disk --json "} {
			args := strings.Split(front+line+secret+" disk", " ")
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), args, &stdout, &stderr); code != exit.Failure {
				t.Errorf("%q: exit code %d", args, code)
			}
			if strings.Contains(stdout.String()+stderr.String(), secret) || stderr.Len() == 0 {
				t.Errorf("%q: %s%s", args, &stdout, &stderr)
			}
		}
	}
}

// TestOverview parses the commands that luksimg prints without a verb.
func TestOverview(t *testing.T) {
	var verbs []string
	for line := range strings.Lines(overview) {
		words := strings.Fields(line)
		if !strings.HasPrefix(line, "  luksimg ") {
			continue
		}
		c, args, err := newRoot().Find(words[1:])
		if err == nil {
			err = c.ParseFlags(args)
		}
		if err == nil {
			err = c.ValidateArgs(c.Flags().Args())
		}
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		verbs = append(verbs, flags.Verb(c))
	}
	if want := []string{"encrypt", "decrypt", "inspect", "key list", "key add", "deploy"}; !slices.Equal(verbs, want) {
		t.Errorf("%v, want %v", verbs, want)
	}
}
