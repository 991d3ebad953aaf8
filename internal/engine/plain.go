package engine

import (
	"context"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/pieces"
)

// A Plain is a job that writes a disk as it is.
type Plain struct {
	Source image.Source
	Workers
}

// zeroRun is the least run of zeros that is left out of a file, and its alignment.
const zeroRun = 64 << 10

// WriteFile writes the disk to dst, but for its zeros; dst is told before, as with
// [Encryption.WriteFile].
func (j Plain) WriteFile(ctx context.Context, dst io.WriterAt) error {
	size, most := j.Source.Size(), longPieces(j.Count)
	if err := expect(dst, size, false); err != nil {
		return err
	}
	cut := pieces.Cut{Unit: unit, Most: most}
	return pieces.Each(ctx, j.Count, int(most), cut.Pieces(ctx, j.Source, 0, size), func(buf []byte, p pieces.Piece) error {
		if !p.Zero {
			b, err := p.Read(j.Source, buf)
			if err != nil {
				return err
			}
			if err := writeSparse(dst, b, p.Offset); err != nil {
				return err
			}
		}
		j.Done(p.Length)
		return nil
	})
}

// WriteStream writes the disk to dst in order.
func (j Plain) WriteStream(ctx context.Context, dst io.Writer) error {
	most := longPieces(j.ahead())
	cut := pieces.Cut{Unit: unit, Most: most, Dense: true}
	read := step{Do: func(buf []byte, p pieces.Piece) error {
		_, err := p.Read(j.Source, buf)
		return err
	}}
	return parallel.InOrder(ctx, j.ahead(), int(most), cut.Pieces(ctx, j.Source, 0, j.Source.Size()), read, write(dst, j.Done))
}

// writeSparse writes b, but for its runs of zeros.
func writeSparse(dst io.WriterAt, b []byte, off int64) error {
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
		if !pieces.IsZero(b[i:end]) {
			continue
		}
		if err := flush(i); err != nil {
			return err
		}
		start = end
	}
	return flush(len(b))
}
