// Package exit ends a run of the command: it gives each error its exit code, and prints the error and its hint.
package exit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/deploy"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/luks/policy"
	"github.com/luksimg/luksimg/shard"
	"github.com/luksimg/luksimg/vhd"
)

// The exit codes. Scripts rely on them. 2 belongs to the Go runtime.
const (
	Done      = 0
	Failure   = 1
	Mismatch  = 3 // of two images, or of a header and a policy
	Refused   = 4 // by a service: credentials, permission, or the state of a resource
	Resumable = 5 // interrupted: run the same command again to resume
	WrongKey  = 12
	Cancelled = 130
)

// Code returns the exit code of an error.
func Code(err error) int {
	switch {
	case goesOn(err):
		return Resumable
	case errors.Is(err, context.Canceled):
		return Cancelled
	case errors.Is(err, luks.ErrPassphrase), errors.Is(err, luks.ErrVolumeKey), errors.Is(err, vhd.ErrKey):
		return WrongKey
	case errors.Is(err, shard.ErrGone):
		return Failure // even if a service reported it
	case rest.Refused(err):
		return Refused
	case errors.Is(err, luksimg.ErrMismatch), errors.Is(err, policy.ErrViolated), errors.Is(err, shard.ErrReplaced), errors.Is(err, shard.ErrRecord):
		return Mismatch
	}
	return Failure
}

// goesOn reports whether the same command resumes the job.
func goesOn(err error) bool {
	return errors.As(err, new(*cos.InterruptedError)) || errors.As(err, new(*deploy.InterruptedError)) ||
		errors.As(err, new(*shard.IncompleteError)) || errors.As(err, new(*shard.InterruptedError))
}

// message returns the text of an error for a person.
func message(err error) string {
	if goesOn(err) && errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	if errors.Is(err, context.Canceled) {
		return "cancelled"
	}
	return err.Error()
}

// messages returns the texts of an error for a person, one for each joined error.
func messages(err error) []string {
	if text := message(err); text != err.Error() {
		return []string{text}
	}
	return Lines(err)
}

// Lines returns the text of an error in lines, one for each joined error. Each line starts with the
// text in front of the joined errors.
func Lines(err error) []string {
	text := err.Error()
	for e := err; e != nil; {
		all, ok := e.(interface{ Unwrap() []error })
		if !ok {
			e = errors.Unwrap(e)
			continue
		}
		var each, lines []string
		for _, part := range all.Unwrap() {
			each, lines = append(each, part.Error()), append(lines, Lines(part)...)
		}
		if len(each) == 0 {
			break
		}
		joined := strings.Join(each, "\n")
		front, last := strings.CutSuffix(text, joined)
		switch {
		case joined != e.Error(): // made by fmt.Errorf, with the text of a part at the end
			e = all.Unwrap()[len(each)-1]
			continue
		case !last:
			return []string{strings.Replace(text, joined, strings.Join(each, "; "), 1)}
		}
		for i := range lines {
			lines[i] = front + lines[i]
		}
		return lines
	}
	return []string{text}
}

// HintKept adds the hint to err if err says that a file of that name exists and luksimg never replaces it.
func HintKept(err error, hint string) error {
	if errors.Is(err, fs.ErrExist) || errors.Is(err, output.ErrNotRegular) && !errors.Is(err, output.ErrFolder) {
		return rest.WithHint(err, hint)
	}
	return err
}

// Print prints an error and returns its exit code. With asJSON, it prints one line of JSON.
// has reports whether the verb has a flag: the hint leaves out the others. A nil has means all flags.
func Print(err error, stderr io.Writer, asJSON bool, has func(flag string) bool) int {
	h := fit(hint(err), has)
	if asJSON {
		b, _ := json.Marshal(result{"error", message(err), h, Code(err)})
		fmt.Fprintf(stderr, "%s\n", term.VisibleJSON(b))
		return Code(err)
	}
	for _, m := range messages(err) {
		fmt.Fprintf(stderr, "luksimg: error: %s\n", term.Visible(m))
	}
	if h != "" {
		fmt.Fprintf(stderr, "luksimg: hint: %s\n", term.Visible(h))
	}
	return Code(err)
}

// A result is the JSON of a failed verb.
type result struct {
	Type     string `json:"type"` // "error"
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
	ExitCode int    `json:"exit_code"`
}
