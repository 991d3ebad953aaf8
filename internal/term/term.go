// Package term implements the command's dialogue on the terminal: hidden prompts, questions and a
// progress line.
package term

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/term"
)

// ErrNoTerminal means that the process has no terminal.
var ErrNoTerminal = errors.New("no terminal to ask on")

// IsTerminal reports whether f is a terminal.
func IsTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// width returns the number of columns of the terminal f, or zero if f is not a terminal or its width is
// unknown.
func width(f *os.File) int {
	w, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return w
}

// open opens the terminal of the process for reading and writing.
func open() (in, out *os.File, err error) {
	if runtime.GOOS != "windows" {
		in, err = os.OpenFile("/dev/tty", os.O_RDWR, 0)
		return in, in, err
	}
	if in, err = os.OpenFile("CONIN$", os.O_RDWR, 0); err != nil {
		return nil, nil, err
	}
	if out, err = os.OpenFile("CONOUT$", os.O_RDWR, 0); err != nil {
		in.Close()
		return nil, nil, err
	}
	return in, out, nil
}

// State is a saved terminal state. Restoring it after an interrupted prompt turns echo on again.
// Without a terminal, Restore does nothing.
type State struct {
	tty   *os.File
	state *term.State
}

// Save returns the current state of the terminal.
func Save() *State {
	in, out, err := open()
	if err != nil {
		return &State{}
	}
	if out != in {
		out.Close()
	}
	s, err := term.GetState(int(in.Fd()))
	if err != nil {
		in.Close()
		return &State{}
	}
	return &State{in, s}
}

// Restore restores the saved state and starts a new line.
func (s *State) Restore() {
	if s.tty != nil {
		term.Restore(int(s.tty.Fd()), s.state)
		fmt.Fprintln(s.tty)
	}
}
