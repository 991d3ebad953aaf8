package main

import (
	"context"
	"fmt"
	"io"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/luks"
)

// compare reads back what was written and compares it with the source.
func (p *progressFlag) compare(ctx context.Context, t *talk, jobs int, src image.Source, out, header *output.File, r *luksimg.Result, key []byte) error {
	if header == nil {
		header = out
	}
	headerSize, err := header.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	var v *luks.Volume
	h, err := luks.Open(header, headerSize, luks.OpenOptions{})
	if err == nil {
		err = parallel.Await(ctx, func() error {
			volumeKey, err := h.VolumeKey(key)
			if err != nil {
				return err
			}
			defer clear(volumeKey)
			v, err = h.Volume(out, r.FileSize, volumeKey)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("reading back what was written: %w", err)
	}
	defer v.Close()
	show, err := p.start(t, "verify", v.Size())
	if err != nil {
		return err
	}
	err = luksimg.Verify(ctx, src, v, luksimg.VerifyOptions{RunOptions: luksimg.RunOptions{Jobs: jobs, Progress: show.Add}})
	show.Done()
	return err
}
