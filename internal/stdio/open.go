package stdio

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/luksimg/luksimg/internal/parallel"
)

// Open is [os.OpenFile] without making a file. Opening a named pipe waits until another
// program opens its other end; ctx ends that. For reading, "-" is standard input.
func Open(ctx context.Context, name string, flags int) (*os.File, error) {
	if IsStdin(name) && flags == os.O_RDONLY {
		return os.Stdin, nil
	}
	opened := make(chan *os.File, 1)
	err := parallel.Await(ctx, func() error {
		f, err := os.OpenFile(name, flags, 0)
		if err == nil {
			opened <- f
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return <-opened, nil
}

// ReadFile reads a file, a named pipe, or for "-" standard input, of at most so many bytes. The
// end of ctx ends that. What it read on the way is wiped.
func ReadFile(ctx context.Context, name string, most int) ([]byte, error) {
	f, err := Open(ctx, name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	if f != os.Stdin {
		defer f.Close()
	}
	return ReadAll(ctx, f, most)
}

// ReadAll reads an open file of at most so many bytes, as ReadFile does.
func ReadAll(ctx context.Context, f *os.File, most int) ([]byte, error) {
	read := make(chan []byte, 1)
	err := parallel.Await(ctx, func() error {
		b, err := readSecret(io.LimitReader(f, int64(most)+1))
		read <- b
		return err
	})
	if err != nil {
		return nil, err
	}
	b := <-read
	if len(b) > most {
		clear(b)
		return nil, fmt.Errorf("%s: more than %d bytes", f.Name(), most)
	}
	return b, nil
}

// readSecret is io.ReadAll, but wipes the buffers that became too small.
func readSecret(r io.Reader) ([]byte, error) {
	buf := make([]byte, 0, 4096)
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			clear(buf)
			return nil, err
		}
		if len(buf) == cap(buf) {
			more := make([]byte, len(buf), 2*len(buf))
			copy(more, buf)
			clear(buf)
			buf = more
		}
	}
}
