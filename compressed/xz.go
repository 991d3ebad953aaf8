package compressed

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/internal/xz"
)

func xzOptions(o Options) xz.Options {
	// A block or a stream needs a few hundred bytes of memory while the index is read.
	return xz.Options{MaxDict: uint32(min(o.window(), 1<<32-1)), MaxBlocks: int(min(o.window()/1024, 1<<24))}
}

// xzError converts an error of package xz to one of this package.
func xzError(err error) error {
	for from, to := range map[error]error{xz.ErrCorrupt: ErrCorrupt, xz.ErrUnsupported: ErrUnsupported, xz.ErrLimit: ErrWindow} {
		if errors.Is(err, from) {
			return fmt.Errorf("%s: %w: %w", XZ, to, err)
		}
	}
	return err
}

// newXZ reads concatenated xz streams.
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
	b := xzBlocks{f}
	x.whole, x.open = b.whole, b.open
	if b.aligned() && b.dict(r) <= maxPushDict {
		x.push = b.push
	}
	return x, nil
}
