package vhd

import (
	"context"

	"github.com/luksimg/luksimg/internal/parallel"
)

// fixedStretch is the number of bytes of a fixed disk that are read at once and skipped if all are
// zeros.
const fixedStretch = 1 << 20

// fixed writes a fixed disk.
func (w *writer) fixed(ctx context.Context) error {
	err := parallel.Run(ctx, w.jobs(fixedStretch), fixedStretch, w.data(ctx, fixedStretch, w.src.Size()), func(buf []byte, b *block) error {
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
