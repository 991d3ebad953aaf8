package compressed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/internal/xz"
)

func xzOptions(o Options) xz.Options {
	return xz.Options{MaxDict: uint32(min(o.window(), 1<<32-1))}
}

// xzError makes one of the errors of this package of one of package xz.
func xzError(err error) error {
	for from, to := range map[error]error{xz.ErrCorrupt: ErrCorrupt, xz.ErrUnsupported: ErrUnsupported, xz.ErrLimit: ErrWindow} {
		if errors.Is(err, from) {
			return fmt.Errorf("%s: %w: %w", XZ, to, err)
		}
	}
	return err
}

// newXZ reads xz streams that follow each other.
func newXZ(b *bufio.Reader, o Options) (io.ReadCloser, error) {
	return io.NopCloser(xzReader{xz.NewReader(b, xzOptions(o))}), nil
}

type xzReader struct{ r *xz.Reader }

func (x xzReader) Read(p []byte) (int, error) {
	n, err := x.r.Read(p)
	if err != nil && err != io.EOF {
		err = xzError(err)
	}
	return n, err
}

// xzIndex reads the indexes of a file.
func xzIndex(r io.ReaderAt, size int64, o Options) (*index, error) {
	f, err := xz.Open(r, size, xzOptions(o))
	if err != nil {
		return nil, xzError(err)
	}
	if err := o.check(XZ, size, f.Size()); err != nil {
		return nil, err
	}
	x := newIndex(XZ, size)
	for _, b := range f.Blocks() {
		x.end.zoff = b.Start
		if err := x.add(b.Packed, b.Size, o); err != nil {
			return nil, err
		}
	}
	x.whole = func(dst []byte, from, to unit) error {
		for n := from.part; n < to.part; n++ {
			size := f.Blocks()[n].Size
			if err := f.Decode(n, dst[:size:size]); err != nil {
				return xzError(err)
			}
			dst = dst[size:]
		}
		return nil
	}
	x.open = func(ctx context.Context, from, to unit) io.ReadCloser {
		out, in := io.Pipe()
		go func() {
			n := from.part - 1
			next := func() (int, bool) {
				n++
				return n, n < to.part && ctx.Err() == nil
			}
			var err error
			for n+1 < to.part && err == nil { // one at a time: what two give has no order
				one := false
				err = f.Stream(func() (int, bool) {
					if one {
						return 0, false
					}
					one = true
					return next()
				}, func(_ int64, p []byte) error {
					_, err := in.Write(p)
					return err
				})
			}
			if err == nil {
				err = io.EOF
			}
			in.CloseWithError(xzError(err))
		}()
		return out
	}
	return x, nil
}
