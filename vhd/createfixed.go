package vhd

import (
	"context"

	"github.com/luksimg/luksimg/internal/parallel"
)

// fixed writes a fixed disk.
func (w *writer) fixed(ctx context.Context) error {
	const stretch = 1 << 20
	err := parallel.Run(ctx, w.jobs(stretch), stretch, w.data(ctx, stretch, w.src.Size()), func(buf []byte, b *block) error {
		p, err := b.Read(w.src, buf)
		if err != nil {
			return err
		}
		if err := w.dst.WriteSparse(p, b.Offset); err != nil {
			return err
		}
		w.done(b.Disk)
		return nil
	})
	if err != nil {
		return err
	}
	if err := w.dst.Sync(); err != nil {
		return err
	}
	w.result.FileSize = w.result.VirtualSize + footerSize
	_, err = w.dst.WriteAt(w.footer(), w.result.VirtualSize)
	return err
}
