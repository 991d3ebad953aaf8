// Command recording draws the transcript of a terminal session. scripts/recording.sh makes one of the
// quick start.
//
//	recording OUT.svg <TRANSCRIPT
//
// A line that begins with "$ " is a command, and one with "# " the comment above it. All other lines
// are output.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/luksimg/luksimg/internal/drawing"
)

func main() {
	if err := run(os.Args[1:], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "recording:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader) error {
	if len(args) != 1 {
		return errors.New("usage: recording OUT.svg <TRANSCRIPT")
	}
	commands, err := parse(in)
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], drawing.Terminal(commands), 0o666)
}

// parse parses a transcript.
func parse(in io.Reader) ([]drawing.Command, error) {
	var all []drawing.Command
	comment := ""
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		l := lines.Text()
		if text, ok := strings.CutPrefix(l, "# "); ok {
			comment = text
		} else if text, ok := strings.CutPrefix(l, "$ "); ok {
			all = append(all, drawing.Command{Comment: comment, Line: text})
			comment = ""
		} else if len(all) == 0 {
			return nil, fmt.Errorf("output before the first command: %q", l)
		} else {
			all[len(all)-1].Output += l + "\n"
		}
	}
	if len(all) == 0 {
		return nil, errors.Join(errors.New("no command"), lines.Err())
	}
	return all, lines.Err()
}
