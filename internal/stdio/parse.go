package stdio

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/luksimg/luksimg/internal/parallel"
)

// Parse returns the result of read for a file, or for standard input if name is "-". It returns early
// if ctx ends, even while it waits for input.
func Parse[T any](ctx context.Context, name string, read func(io.Reader) (T, error)) (T, error) {
	var none, v T
	f := os.Stdin
	if name != "-" {
		var err error
		if f, err = Open(ctx, name, os.O_RDONLY); err != nil {
			return none, err
		}
		defer f.Close()
	}
	err := parallel.Await(ctx, func() (err error) {
		v, err = read(f)
		return err
	})
	if err != nil {
		return none, fmt.Errorf("%s: %w", Name(name), err)
	}
	return v, nil
}
