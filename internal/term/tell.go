package term

import (
	"fmt"
	"os"
)

// with calls f with the terminal itself, wherever the standard streams are redirected. Without a
// terminal the error is [ErrNoTerminal].
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

// Check returns [ErrNoTerminal] if the process has no terminal.
func Check() error { return with(func(_, _ *os.File) error { return nil }) }

// Tell writes text to the terminal itself, because standard output can be a pipe or a file. It makes no
// copy of text. Without a terminal the error is [ErrNoTerminal].
func Tell(text []byte) error {
	return with(func(_, out *os.File) error {
		_, err := out.Write(text)
		return err
	})
}

// Ask asks a question on the terminal itself, and reports whether the answer is y or yes. Without a
// terminal the error is [ErrNoTerminal].
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
