package engine

import (
	"context"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/pieces"
)

// A Plain is a job that writes a disk without encryption.
type Plain struct {
	Source image.Source
	Workers
}

// WriteFile writes the disk without its zeros to dst. It calls dst's methods as [Encryption.WriteFile]
// does.
func (j Plain) WriteFile(ctx context.Context, dst io.WriterAt) error {
	size, most := j.Source.Size(), longPieces(j.Count)
	if err := expect(dst, size, false); err != nil {
		return err
	}
	if p, ok := image.AsPusher(j.Source); ok {
		return j.push(ctx, p, dst)
	}
	cut := pieces.Cut{Unit: unit, Most: most}
	return pieces.Each(ctx, j.Count, int(most), cut.Pieces(ctx, j.Source, 0, size), func(buf []byte, p pieces.Piece) error {
		if !p.Zero {
			b, err := p.Read(j.Source, buf)
			if err != nil {
				return err
			}
			if err := pieces.WriteSparse(dst, b, p.Offset); err != nil {
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
