package term

import (
	"fmt"
	"os"
)

// with calls f with the terminal itself, wherever the standard streams go. Without a terminal it is
// ErrNoTerminal.
func with(f func(in, out *os.File) error) error {
	in, out, err := open()
	if err != nil {
		return ErrNoTerminal
	}
	defer in.Close()
	if out != in {
		defer out.Close()
	}
	if !IsTerminal(in) {
		return ErrNoTerminal
	}
	return f(in, out)
}

// Check returns ErrNoTerminal if there is nobody to ask or to tell.
func Check() error { return with(func(_, _ *os.File) error { return nil }) }

// Tell writes text to the terminal itself, not to standard output, which may be a pipe or a file. It
// makes no copy of it. Without a terminal it is ErrNoTerminal.
func Tell(text []byte) error {
	return with(func(_, out *os.File) error {
		_, err := out.Write(text)
		return err
	})
}

// Ask asks a question on the terminal itself, and tells whether the answer is y or yes. Without a
// terminal it is ErrNoTerminal.
func Ask(question string) (yes bool, err error) {
	err = with(func(in, out *os.File) error {
		fmt.Fprint(out, question)
		answer, err := readLine(in)
		switch string(answer) {
		case "y", "Y", "yes", "Yes", "YES":
			yes = err == nil
		}
		return err
	})
	return yes, err
}
