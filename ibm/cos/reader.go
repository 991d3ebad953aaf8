package cos

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/internal/fetch"
)

// A Reader reads an object at offsets: it is an image.Source. All that it reads is of the
// object as it was when it was opened, or else the error matches [ErrChanged]. It is safe
// for concurrent use.
//
// It keeps 20 MiB of the object at most. Where the object is read in order it reads ahead, in
// several requests at a time.
type Reader struct {
	*fetch.Reader
	info Info
}

// Open asks for an object, and returns a reader that works until Close, or until ctx is
// done.
func (c *Client) Open(ctx context.Context, o Object) (*Reader, error) {
	info, err := c.Head(ctx, o)
	if err != nil {
		return nil, err
	}
	read := func(ctx context.Context, off, n int64, take func(b []byte, at int64) error) error {
		return c.fetch(ctx, o, info, off, n, take)
	}
	return &Reader{fetch.NewReader(ctx, o.String(), info.Size, read), info}, nil
}

// Info returns what the service said of the object.
func (r *Reader) Info() Info { return r.info }

// fetch reads a range of an object that has this ETag, and gives it to take in order, a
// buffer at a time. After a failure it goes on where it was.
func (c *Client) fetch(ctx context.Context, o Object, info Info, off, n int64, take func(b []byte, at int64) error) error {
	get := func(ctx context.Context, off, end int64) (io.ReadCloser, error) {
		return c.get(ctx, o, info.ETag, off, end, info.Size)
	}
	_, err := c.attempts.Range(ctx, get, off, n, take)
	if broken := new(fetch.BrokenError); errors.As(err, &broken) {
		err = fmt.Errorf("GET %v: %w", o, err)
	}
	return err
}
