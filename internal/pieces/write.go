package pieces

import (
	"context"
	"io"
	"iter"

	"github.com/luksimg/luksimg/image"
)

// Data yields the pieces of src up to an offset that are not known to be zeros. The others are
// told to done.
func (c Cut) Data(ctx context.Context, src image.Source, to int64, done func(n int64)) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		for p, err := range c.Pieces(ctx, src, 0, to) {
			if err == nil && p.Zero {
				done(p.Disk)
				continue
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// zeroRun is the least run of zeros that is left out of a file, and its alignment in what is
// written.
const zeroRun = 64 << 10

// WriteSparse writes b, but for its runs of zeros.
func WriteSparse(dst io.WriterAt, b []byte, off int64) error {
	start := 0 // of what is to be written
	flush := func(end int) error {
		if start == end {
			return nil
		}
		_, err := dst.WriteAt(b[start:end], off+int64(start))
		return err
	}
	for i := 0; i < len(b); i += zeroRun {
		end := min(i+zeroRun, len(b))
		if !IsZero(b[i:end]) {
			continue
		}
		if err := flush(i); err != nil {
			return err
		}
		start = end
	}
	return flush(len(b))
}
