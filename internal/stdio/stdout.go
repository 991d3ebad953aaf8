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

// CheckStdout refuses to write binary data to a terminal, or to a standard output that is
// closed.
func CheckStdout(what string) error {
	if term.IsTerminal(os.Stdout) {
		return rest.WithHint(fmt.Errorf("%s will not be written to a terminal", what), "redirect standard output, or name a file")
	}
	if stdoutClosed() {
		return rest.WithHint(fmt.Errorf("standard output is closed: %s would be lost", what),
			"redirect standard output, or name a file; >/dev/null drops what is written")
	}
	return nil
}

// SyncStdout returns when what was written to standard output is on the disk, if that is a
// file. main closes it.
func SyncStdout() error {
	fi, err := os.Stdout.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return err
	}
	// Some filesystems, such as /proc, have nothing to sync.
	if err := os.Stdout.Sync(); !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// A ResultWriter keeps the first error of writing the result. What prints a help text does
// not look at it.
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
