package compressed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// NewReader returns a reader of the decompressed stream of the given kind. It returns io.EOF only if
// all checks of the format passed and nothing follows. packed is the length of the stream in bytes, or
// -1 if unknown: then the limit of [Options.Limit] grows with the bytes read. If ctx is done, the next
// Read returns its cause, as soon as r returns. The caller must call Close.
func NewReader(ctx context.Context, r io.Reader, k Kind, packed int64, o Options) (io.ReadCloser, error) {
	in := &counter{ctx: ctx, r: r}
	b := bufio.NewReaderSize(in, 256<<10)
	d, err := decoder(b, k, o)
	if err != nil {
		return nil, err
	}
	return &Reader{ctx: ctx, kind: k, d: d, in: in, packed: packed, o: o}, nil
}

// decoder returns the decoder for a kind, without a size limit.
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

// A counter counts the bytes read, and fails when its context is done. A decoder can read from it while
// others call its methods.
type counter struct {
	ctx    context.Context
	r      io.Reader
	n      atomic.Int64
	failed atomic.Pointer[error] // the error of r
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

// err returns the read error, if there was one.
func (c *counter) err() error {
	if err := c.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// A Reader reads the content of a compressed stream; see [NewReader].
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

// runAhead is the size of output that is allowed before the ratio is checked, because decoders read
// ahead.
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
		n = 0 // return no bytes that can be wrong
	}
	return n, err
}

// most returns the limit of the output so far.
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

// explain converts an error of a decoder to one of this package. It does not change read errors of the
// file.
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
