package cos

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/internal/fetch"
)

// A Reader reads an object at offsets; it implements image.Source. If the object changes after
// Open, reads return an error that matches [ErrChanged]. It is safe for concurrent use.
//
// It caches at most 20 MiB of the object. When the object is read sequentially, it reads ahead with
// several concurrent requests.
type Reader struct {
	*fetch.Reader
	info Info
}

// Open returns a reader of an object. It works until Close, or until ctx is
// done. If there is no such object, the error matches [ErrNotFound].
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

// Info returns the description of the object at the time of Open.
func (r *Reader) Info() Info { return r.info }

// fetch reads a range of an object with the ETag of info and passes it to take in order, a
// buffer at a time. After a failure it continues at the same offset.
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
