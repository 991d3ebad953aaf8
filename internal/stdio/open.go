package stdio

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/luksimg/luksimg/internal/parallel"
)

// Open opens an existing file with the flags of [os.OpenFile]. Opening a named pipe waits until another
// program opens its other end, or ctx ends. For reading, "-" is standard input.
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

// ReadFile reads a secret of at most most bytes from a file, a named pipe, or with "-" from standard
// input. It returns early if ctx ends. It wipes its intermediate buffers.
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

// ReadAll is like ReadFile for an open file.
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

// readSecret is like io.ReadAll, but wipes the buffers that it outgrows.
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
