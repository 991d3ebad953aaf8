// Package stdio opens what is named on a command line: files, and pipes whose other end may never
// come, which the end of a context ends; "-" is standard input or output.
package stdio

import (
	"context"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Name is the name of a file as a person knows it: "-" is standard input.
func Name(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}

// IsStdin tells whether a name is one of standard input.
func IsStdin(name string) bool { return name == "-" || name == "/dev/stdin" || name == "/dev/fd/0" }

// IsStream tells whether what has the name can be read in order only: standard input, unless
// that is a file, a pipe, or what a shell makes of <(...).
func IsStream(name string) bool {
	var fi fs.FileInfo
	var err error
	switch {
	case strings.HasPrefix(name, "cos://"):
		return false
	case IsStdin(name):
		fi, err = os.Stdin.Stat()
		// Who has read a part of a file wants the rest of it.
		if at, errSeek := os.Stdin.Seek(0, io.SeekCurrent); err == nil && fi.Mode().IsRegular() && (errSeek != nil || at != 0) {
			return true
		}
	default:
		fi, err = os.Stat(name)
	}
	return err == nil && fi.Mode()&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeCharDevice) != 0
}

// OpenStream opens what is read in order. The caller closes it.
func OpenStream(ctx context.Context, name string) (f *os.File, err error) {
	if f, err = Open(ctx, name, os.O_RDONLY); err == nil {
		Widen(f)
	}
	return f, err
}
