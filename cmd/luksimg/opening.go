package main

import (
	"context"
	"os"

	"github.com/luksimg/luksimg/internal/parallel"
)

// openFile is [os.OpenFile] without making a file. Opening a named pipe waits until another
// program opens its other end; ctx ends that. For reading, "-" is standard input.
func openFile(ctx context.Context, name string, flags int) (*os.File, error) {
	if isStdin(name) && flags == os.O_RDONLY {
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
