package stdio

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/term"
)

// CheckStdout returns an error if standard output is a terminal or closed, and so cannot receive binary
// data.
func CheckStdout(what string) error {
	if term.IsTerminal(os.Stdout) {
		return rest.WithHint(fmt.Errorf("%s will not be written to a terminal", what), "redirect standard output, or name a file")
	}
	return CheckOpen(what)
}

// CheckOpen refuses to write data to a standard output that is closed. Data in text may go to a terminal.
func CheckOpen(what string) error {
	if stdoutClosed() {
		return rest.WithHint(fmt.Errorf("standard output is closed: %s would be lost", what),
			"redirect standard output, or name a file; >/dev/null drops what is written")
	}
	return nil
}

// SyncStdout syncs standard output if it is a file. main closes it.
func SyncStdout() error {
	fi, err := os.Stdout.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return err
	}
	// Some filesystems, such as /proc, do not support sync.
	if err := os.Stdout.Sync(); !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// A ResultWriter keeps the first error of writing the result. The functions that print help ignore
// write errors.
type ResultWriter struct {
	io.Writer
	Err error
}

func (w *ResultWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if w.Err == nil {
		w.Err = err
	}
	return n, err
}
