package compressed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// NewReader returns a reader of what a stream of the kind gives, to be read in order. An io.EOF comes
// only when all that the container has to check was right and nothing follows it. packed is the length
// of the stream in bytes, or -1: then the limit of [Options.Limit] grows with what was read. When ctx
// is done, its cause is the error of the next Read, as soon as r returns. Close must be called.
func NewReader(ctx context.Context, r io.Reader, k Kind, packed int64, o Options) (io.ReadCloser, error) {
	in := &counter{ctx: ctx, r: r}
	b := bufio.NewReaderSize(in, 256<<10)
	d, err := decoder(b, k, o)
	if err != nil {
		return nil, err
	}
	return &Reader{ctx: ctx, kind: k, d: d, in: in, packed: packed, o: o}, nil
}

// decoder returns the decoder of a kind, without limits on the length.
func decoder(b *bufio.Reader, k Kind, o Options) (io.ReadCloser, error) {
	switch k {
	case Gzip:
		return newGzip(b)
	case Bzip2:
		return newBzip2(b), nil
	case Zstd:
		return newZstd(b, o, true), nil
	case XZ:
		return newXZ(b, o)
	}
	return nil, fmt.Errorf("%w: kind %q", ErrUnsupported, k)
}

// A counter counts what is read, and ends with its context. A decoder may read while somebody looks at
// it.
type counter struct {
	ctx    context.Context
	r      io.Reader
	n      atomic.Int64
	failed atomic.Pointer[error] // of r
}

func (c *counter) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	if err != nil && err != io.EOF {
		c.failed.Store(&err)
	}
	return n, err
}

// err returns the error of what is read, if there was one.
func (c *counter) err() error {
	if err := c.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// A Reader reads what is in a compressed stream; see [NewReader].
type Reader struct {
	ctx    context.Context
	kind   Kind
	d      io.ReadCloser
	in     *counter
	packed int64
	o      Options
	n      int64
	err    error
}

// runAhead is how much may come out before what was read of the file tells of its ratio.
const runAhead = 16 << 30

// Read implements [io.Reader].
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	n, err := r.d.Read(p)
	r.n += int64(n)
	if err != nil && err != io.EOF {
		err = r.explain(err)
	}
	if most := r.most(); r.n > most {
		err = &SizeError{r.kind, r.n, most}
	}
	r.err = err
	if err != nil && err != io.EOF {
		n = 0 // nothing of what may be wrong is given away
	}
	return n, err
}

// most is how much may have come out by now.
func (r *Reader) most() int64 {
	if r.packed < 0 {
		return r.o.Limit(r.in.n.Load())
	}
	most := r.o.Limit(r.packed)
	if r.o.MaxSize > 0 {
		return most
	}
	return min(most, runAhead+r.in.n.Load()*maxRatio)
}

// explain makes one of the errors of this package of that of a decoder, but leaves alone those of the
// file itself.
func (r *Reader) explain(err error) error {
	switch {
	case r.in.err() != nil:
		return r.in.err()
	case context.Cause(r.ctx) != nil:
		return context.Cause(r.ctx)
	case errors.Is(err, ErrCorrupt), errors.Is(err, ErrWindow), errors.Is(err, ErrUnsupported), errors.Is(err, ErrTooLarge):
		return err
	}
	return corrupt(r.kind, r.in.n.Load(), "%v", err)
}

// Close ends the reader. It does not close the stream.
func (r *Reader) Close() error { return r.d.Close() }
