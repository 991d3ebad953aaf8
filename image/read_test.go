package image_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/luksimg/luksimg/image"
)

// few reads at most n bytes at a time and returns no error for a short read.
type few struct {
	io.ReaderAt
	n int
}

func (f few) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.ReaderAt.ReadAt(p[:min(len(p), f.n)], off)
	if err == io.EOF && n > 0 {
		err = nil
	}
	return n, err
}

func TestReadFull(t *testing.T) {
	text := []byte("0123456789")
	r := bytes.NewReader(text)
	for name, c := range map[string]struct {
		r    io.ReaderAt
		n    int
		off  int64
		got  string
		want error
	}{
		"whole":       {r, 10, 0, "0123456789", nil},
		"nothing":     {r, 0, 20, "", nil},
		"in pieces":   {few{r, 3}, 8, 1, "12345678", nil},
		"early end":   {r, 5, 8, "89", io.ErrUnexpectedEOF},
		"past it":     {r, 5, 10, "", io.ErrUnexpectedEOF},
		"no progress": {few{r, 0}, 5, 0, "", io.ErrNoProgress},
		"error":       {failing{}, 5, 0, "", iotest.ErrTimeout},
	} {
		p := make([]byte, c.n)
		n, err := image.ReadFull(c.r, p, c.off)
		if string(p[:n]) != c.got || !errors.Is(err, c.want) {
			t.Errorf("%s: %q, %v", name, p[:n], err)
		}
	}
}

type failing struct{}

func (failing) ReadAt([]byte, int64) (int, error) { return 0, iotest.ErrTimeout }
