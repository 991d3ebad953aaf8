package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/internal/term"
)

// A talk is what a verb says: to the person on standard error, and its result on
// standard output.
type talk struct {
	g        *global
	out, err io.Writer
	warnings []string
}

func (g *global) talk(c *cobra.Command) *talk {
	return &talk{g: g, out: c.OutOrStdout(), err: c.ErrOrStderr()}
}

// say tells something that may help.
func (t *talk) say(format string, args ...any) {
	if !t.g.quiet {
		fmt.Fprintln(t.err, "luksimg: "+term.VisibleLines(line(format, args...)))
	}
}

// line formats a line of text. What an argument holds, such as the name of a file, stays on
// that line.
func line(format string, args ...any) string { return fmt.Sprintf(format, visible(args)...) }

// visible returns the arguments of a format with all text in them as a terminal may have it,
// on one line: it may be from a file.
func visible(args []any) []any {
	all := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case string:
			all[i] = term.Visible(a)
		case error:
			all[i] = term.Visible(a.Error())
		case fmt.Stringer:
			all[i] = term.Visible(a.String())
		default:
			all[i] = a
		}
	}
	return all
}

// warn tells of something that may be wrong.
func (t *talk) warn(format string, args ...any) {
	t.warnings = append(t.warnings, fmt.Sprintf(format, args...))
	t.say("warning: "+format, args...)
}

// result prints the result: v as JSON if asked for, else the text.
func (t *talk) result(v any, text string) error {
	if t.g.json {
		return t.json(func(w io.Writer) error { return encodeJSON(w, v) })
	}
	_, err := fmt.Fprintln(t.out, term.VisibleLines(text))
	return err
}

// encodeJSON writes v as the verbs print it.
func encodeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// json prints the JSON that encode writes.
func (t *talk) json(encode func(w io.Writer) error) error {
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		return err
	}
	_, err := t.out.Write(term.VisibleJSON(b.Bytes()))
	return err
}

// progressFlag is the flag of verbs that take their time.
type progressFlag struct{ mode string }

func (p *progressFlag) add(c *cobra.Command) {
	c.Flags().StringVar(&p.mode, "progress", term.Auto, "how to show progress: "+strings.Join(term.Modes, ", "))
}

// check looks at the value of the flag.
func (p *progressFlag) check() error {
	if !slices.Contains(term.Modes, p.mode) {
		return fmt.Errorf("--progress %s: want one of %s", p.mode, strings.Join(term.Modes, ", "))
	}
	return nil
}

// start begins to show progress on standard error.
func (p *progressFlag) start(t *talk, phase string, total int64) (*term.Progress, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	mode := p.mode
	if t.g.quiet {
		mode = term.None
	}
	return term.Start(os.Stderr, mode, phase, total), nil
}
