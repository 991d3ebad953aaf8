package term

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxSecret is how long a line may be, in bytes. It is more than any terminal passes on.
const maxSecret = 8 << 10

// ReadSecret asks for a line on the terminal itself, not on standard input, which may
// be data, and does not show what is typed, also what was typed early. Without a terminal it
// is ErrNoTerminal. The memory behind the result holds nothing else that was typed.
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

// readLine returns the bytes up to a line feed, or to the end if there are some. It reads them
// one at a time into a buffer that never moves, so that there is one copy.
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
