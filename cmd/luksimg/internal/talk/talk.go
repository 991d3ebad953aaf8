// Package talk is what a verb says: to the person on standard error, and its result on
// standard output. What may be from a file is shown as a terminal may have it.
package talk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/internal/term"
)

// A Talk is what one run of the command says.
type Talk struct {
	Quiet    bool // nothing but errors and the result
	AsJSON   bool // the result is one JSON object
	Out, Err io.Writer
	Warnings []string // all that were given
}

// Say tells something that may help.
func (t *Talk) Say(format string, args ...any) {
	if !t.Quiet {
		fmt.Fprintln(t.Err, "luksimg: "+term.VisibleLines(Line(format, args...)))
	}
}

// maxWarnings bounds the warnings that are kept.
const maxWarnings = 10_000

// Warn tells of something that may be wrong.
func (t *Talk) Warn(format string, args ...any) {
	switch n := len(t.Warnings); {
	case n < maxWarnings:
		t.Warnings = append(t.Warnings, fmt.Sprintf(format, args...))
	case n == maxWarnings:
		t.Warnings = append(t.Warnings, "there are more warnings than are kept")
	}
	t.Say("warning: "+format, args...)
}

// WarnAll tells of warnings, each behind a prefix such as "NAME: ".
func (t *Talk) WarnAll(prefix string, warnings []string) {
	for _, w := range warnings {
		t.Warn("%s%s", prefix, w)
	}
}

// Result prints the result: v as JSON if asked for, else the text.
func (t *Talk) Result(v any, text string) error {
	if t.AsJSON {
		return t.JSON(func(w io.Writer) error { return EncodeJSON(w, v) })
	}
	_, err := fmt.Fprintln(t.Out, term.VisibleLines(text))
	return err
}

// ToStdout tells whether a result can go to standard output, where an argument asks for that by "-".
func (t *Talk) ToStdout(arg, what string) error {
	if t.AsJSON {
		return fmt.Errorf("with - for %s %s is the result: there is no room for --json", arg, what)
	}
	return stdio.CheckStdout(what)
}

// JSON prints the JSON that encode writes.
func (t *Talk) JSON(encode func(w io.Writer) error) error {
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		return err
	}
	_, err := t.Out.Write(term.VisibleJSON(b.Bytes()))
	return err
}

// EncodeJSON writes v as the verbs print it.
func EncodeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// Line formats a line of text. What an argument holds, such as the name of a file, stays on
// that line.
func Line(format string, args ...any) string {
	shown := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case string:
			shown[i] = term.Visible(a)
		case error:
			shown[i] = term.Visible(a.Error())
		case fmt.Stringer:
			shown[i] = term.Visible(a.String())
		default:
			shown[i] = a
		}
	}
	return fmt.Sprintf(format, shown...)
}

// Lines is Line for each of several lines.
func Lines(lines []string) string {
	shown := make([]string, len(lines))
	for i, l := range lines {
		shown[i] = Line("%s", l)
	}
	return strings.Join(shown, "\n")
}
