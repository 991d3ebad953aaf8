package vhd

import (
	"context"

	"github.com/luksimg/luksimg/internal/parallel"
)

// fixed writes a fixed disk.
func (w *writer) fixed(ctx context.Context) error {
	const stretch = 1 << 20
	err := parallel.Run(ctx, w.jobs(stretch), stretch, w.data(ctx, stretch, w.src.Size()), func(buf []byte, b *block) error {
		n, err := w.read(buf[:b.Length], b.Offset)
		if err != nil {
			return err
		}
		if err := w.writeRuns(buf[:n], b.Offset); err != nil {
			return err
		}
		w.done(n)
		return nil
	})
	if err != nil {
		return err
	}
	if err := w.sync(); err != nil {
		return err
	}
	w.result.FileSize = w.result.VirtualSize + footerSize
	return w.write(w.footer(), w.result.VirtualSize)
}
