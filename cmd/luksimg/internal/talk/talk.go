// Package talk prints the messages of a verb on standard error and its result on standard output. Text from files is
// escaped, so that it cannot control the terminal.
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

// A Talk prints the output of one run of the command.
type Talk struct {
	Quiet    bool // print only errors and the result
	AsJSON   bool // print the result as one JSON object
	Out, Err io.Writer
	Warnings []string // all warnings so far
}

// Say prints a message, unless Quiet is set.
func (t *Talk) Say(format string, args ...any) {
	if !t.Quiet {
		fmt.Fprintln(t.Err, "luksimg: "+term.VisibleLines(Line(format, args...)))
	}
}

// maxWarnings is the largest number of warnings that Warnings keeps.
const maxWarnings = 10_000

// Warn prints a warning and keeps it in Warnings.
func (t *Talk) Warn(format string, args ...any) {
	switch n := len(t.Warnings); {
	case n < maxWarnings:
		t.Warnings = append(t.Warnings, fmt.Sprintf(format, args...))
	case n == maxWarnings:
		t.Warnings = append(t.Warnings, "further warnings are not kept")
	}
	t.Say("warning: "+format, args...)
}

// WarnAll prints warnings, each with a prefix such as "NAME: ".
func (t *Talk) WarnAll(prefix string, warnings []string) {
	for _, w := range warnings {
		t.Warn("%s%s", prefix, w)
	}
}

// Result prints the result: v if AsJSON is set, otherwise text.
func (t *Talk) Result(v any, text string) error {
	if t.AsJSON {
		return t.JSON(func(w io.Writer) error { return EncodeJSON(w, v) })
	}
	_, err := fmt.Fprintln(t.Out, term.VisibleLines(text))
	return err
}

// ToStdout returns an error if a result cannot go to standard output, which the argument arg selects with "-".
func (t *Talk) ToStdout(arg, what string) error {
	if t.AsJSON {
		return fmt.Errorf("with - for %s, %s goes to standard output, so --json is not possible", arg, what)
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

// EncodeJSON writes v as indented JSON, the format of all verbs.
func EncodeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// Line formats a line of text. It escapes line breaks in arguments, such as names of files, so that the result is one
// line.
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

// Lines applies [Line] to each of several lines.
func Lines(lines []string) string {
	shown := make([]string, len(lines))
	for i, l := range lines {
		shown[i] = Line("%s", l)
	}
	return strings.Join(shown, "\n")
}
