package vhd

import (
	"context"

	"github.com/luksimg/luksimg/internal/parallel"
)

// fixed writes a fixed disk.
func (w *writer) fixed(ctx context.Context) error {
	const stretch = 1 << 20
	err := parallel.Run(ctx, w.jobs(stretch), stretch, w.parts(ctx, stretch), func(buf []byte, p part) error {
		n, err := w.read(buf, p.index*stretch)
		if err != nil {
			return err
		}
		if err := w.writeRuns(buf[:n], p.index*stretch); err != nil {
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
