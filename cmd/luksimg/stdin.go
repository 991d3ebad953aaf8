package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
)

// isStdin tells whether a name is one of standard input.
func isStdin(name string) bool { return name == "-" || name == "/dev/stdin" || name == "/dev/fd/0" }

// isStream tells whether what has the name can be read in order only: standard input, unless
// that is a file, a pipe, or what a shell makes of <(...).
func isStream(name string) bool {
	var fi fs.FileInfo
	var err error
	switch {
	case isCOS(name):
		return false
	case isStdin(name):
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

// openStream opens what is read in order. The caller closes it.
func openStream(ctx context.Context, name string) (f *os.File, err error) {
	if f, err = openFile(ctx, name, os.O_RDONLY); err == nil {
		widen(f)
	}
	return f, err
}

// maxHeaderFile bounds a header that is read from a stream: those of LUKS2 have no more.
const maxHeaderFile = 256 << 20

// openHeader opens a file that is a header: also one that comes from a stream.
func openHeader(ctx context.Context, g *global, name string) (*input, error) {
	if !isStream(name) {
		return openInput(ctx, g, name)
	}
	f, err := openStream(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b []byte
	err = parallel.Await(ctx, func() (err error) {
		b, err = io.ReadAll(io.LimitReader(f, maxHeaderFile+1))
		return err
	})
	if err == nil && len(b) > maxHeaderFile {
		err = fmt.Errorf("%s: %w: longer than any LUKS header", stdinName(name), image.ErrUnsupported)
	}
	if err != nil {
		return nil, err
	}
	return &input{r: bytes.NewReader(b), close: func() {}, size: int64(len(b)), name: stdinName(name)}, nil
}
