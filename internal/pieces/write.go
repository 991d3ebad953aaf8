package pieces

import (
	"context"
	"io"
	"iter"

	"github.com/luksimg/luksimg/image"
)

// Data yields as(p) for the pieces p of src up to an offset that are not known to be zeros. It calls
// done with the length of the others.
func Data[P any](ctx context.Context, c Cut, src image.Source, to int64, done func(n int64), as func(Piece) P) iter.Seq2[P, error] {
	return func(yield func(P, error) bool) {
		for p, err := range c.Pieces(ctx, src, 0, to) {
			if err == nil && p.Zero {
				done(p.Disk)
				continue
			}
			if !yield(as(p), err) {
				return
			}
		}
	}
}

// zeroRun is the minimum length of a run of zeros that is not written, and its alignment.
const zeroRun = 64 << 10

// WriteSparse writes b except for its runs of zeros.
func WriteSparse(dst io.WriterAt, b []byte, off int64) error {
	start := 0 // start of the bytes to write
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
