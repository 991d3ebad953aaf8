// Package stdio opens the files, pipes and standard streams that a command line names. "-" is standard
// input or output. Opening a pipe whose other end never appears is cancelled by a context.
package stdio

import (
	"context"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Name returns the name of a file for messages: "-" is standard input.
func Name(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}

// IsStdin reports whether a name means standard input.
func IsStdin(name string) bool { return name == "-" || name == "/dev/stdin" || name == "/dev/fd/0" }

// IsStream reports whether a name can be read only in order: a pipe, a socket or a character device,
// such as a shell's <(...), or standard input that is a partly read file.
func IsStream(name string) bool {
	var fi fs.FileInfo
	var err error
	switch {
	case strings.HasPrefix(name, "cos://"):
		return false
	case IsStdin(name):
		fi, err = os.Stdin.Stat()
		// A file that was partly read continues at its current offset.
		if at, errSeek := os.Stdin.Seek(0, io.SeekCurrent); err == nil && fi.Mode().IsRegular() && (errSeek != nil || at != 0) {
			return true
		}
	default:
		fi, err = os.Stat(name)
	}
	return err == nil && fi.Mode()&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeCharDevice) != 0
}

// OpenStream opens a source that is read in order. The caller closes it.
func OpenStream(ctx context.Context, name string) (f *os.File, err error) {
	if f, err = Open(ctx, name, os.O_RDONLY); err == nil {
		Widen(f)
	}
	return f, err
}
