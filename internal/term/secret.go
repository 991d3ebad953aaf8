package term

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxSecret is the maximum length of a line in bytes. No terminal passes on that much.
const maxSecret = 8 << 10

// ReadSecret reads a line from the terminal itself, because standard input can be data. It shows
// nothing of the input, including what was typed before the prompt. Without a terminal the error is
// [ErrNoTerminal]. The memory of the result holds nothing else that was typed.
func ReadSecret(prompt string) (secret []byte, err error) {
	err = with(func(in, out *os.File) error {
		restore, err := hide(in)
		if err != nil {
			return err
		}
		defer restore()
		fmt.Fprint(out, prompt)
		secret, err = readLine(in)
		fmt.Fprintln(out)
		return err
	})
	return secret, err
}

// readLine returns the bytes before a line feed, or before the end of the input if there are any. It
// reads byte by byte into a buffer that never moves, so that only one copy exists.
func readLine(r io.Reader) (line []byte, err error) {
	buf := make([]byte, maxSecret)
	for n := 0; ; {
		got, err := r.Read(buf[n : n+1])
		switch {
		case got == 1 && buf[n] == '\n':
			return bytes.TrimSuffix(buf[:n:n], []byte("\r")), nil
		case got == 1:
			n++
		case errors.Is(err, io.EOF) && n > 0:
			return buf[:n:n], nil
		case err != nil:
			clear(buf)
			return nil, err
		}
		if n == len(buf) {
			clear(buf)
			return nil, fmt.Errorf("the line is longer than %d bytes", maxSecret)
		}
	}
}
