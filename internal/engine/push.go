package engine

import (
	"context"
	"io"
	"sync"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/pieces"
)

// push encrypts the parts that the source pushes, and then the zeros after the disk.
func (e Encryption) push(ctx context.Context, src image.Pusher, dst io.WriterAt) error {
	size := src.Size()
	buffers := sync.Pool{New: func() any { return new([unit]byte) }}
	err := src.Push(ctx, e.Count, func(p []byte, off int64) error {
		buf := buffers.Get().(*[unit]byte)
		defer buffers.Put(buf)
		for len(p) > 0 {
			n := min(len(p), len(buf))
			var out []byte
			if n < image.PushUnit { // the end of the disk: pad the sector with zeros
				out = buf[:min(image.PushUnit, e.Length-off)]
				clear(out[copy(out, p):])
				e.Volume.EncryptSectors(out, out, off)
			} else {
				n -= n % image.PushUnit
				out = buf[:n]
				e.Volume.EncryptSectors(out, p[:n], off)
			}
			if _, err := dst.WriteAt(out, e.Offset+off); err != nil {
				return err
			}
			e.Done(int64(n))
			p, off = p[n:], off+int64(n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	from := min(e.Length, (size+image.PushUnit-1)/image.PushUnit*image.PushUnit)
	cut := pieces.Cut{Unit: unit, Most: longPiece, Dense: !e.Sparse}
	zeros := cut.Pieces(ctx, image.Zeros(e.Length), from, e.Length)
	return pieces.Each(ctx, 1, longPiece, zeros, func(buf []byte, p pieces.Piece) error {
		if err := e.read(buf, p); err != nil {
			return err
		}
		return e.place(dst, buf, p)
	})
}

// push writes the parts that the source pushes, except for zeros.
func (j Plain) push(ctx context.Context, src image.Pusher, dst io.WriterAt) error {
	return src.Push(ctx, j.Count, func(p []byte, off int64) error {
		j.Done(int64(len(p)))
		return pieces.WriteSparse(dst, p, off)
	})
}
