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

// A comparison is of an image that was just written with its source.
type comparison struct {
	src         image.Source
	out, header *output.File // header is nil if it is in front of the data
	format      luksimg.Format
	key         []byte
	skipZeros   bool
	jobs        int
}

// compare reads back what was written, from the disk where the system allows, and compares
// it with the source.
func (p *progressFlag) compare(ctx context.Context, t *talk, c comparison) error {
	header := c.header
	if header == nil {
		header = c.out
	}
	if err := c.out.DropCache(); err != nil {
		return err
	}
	v, err := c.open(ctx, header)
	if err != nil {
		return fmt.Errorf("reading back what was written: %w", err)
	}
	defer v.Close()
	show, err := p.start(t, "verify", v.Size())
	if err != nil {
		return err
	}
	defer show.Done()
	return luksimg.Verify(ctx, c.src, v, luksimg.VerifyOptions{
		SkipZeros:  c.skipZeros,
		RunOptions: luksimg.RunOptions{Jobs: c.jobs, Progress: show.Add},
	})
}

// open opens what was written with its key.
func (c *comparison) open(ctx context.Context, header *output.File) (v *luksimg.Image, err error) {
	size, err := c.out.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	if header == c.out {
		err = parallel.Await(ctx, func() error {
			img, err := luksimg.OpenImage(c.out, size, luksimg.ImageOptions{Format: c.format, Key: c.key})
			v = img
			return err
		})
		return v, err
	}
	headerSize, err := header.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	h, err := luks.Open(header, headerSize, luks.OpenOptions{})
	if err != nil {
		return nil, err
	}
	err = parallel.Await(ctx, func() error {
		volumeKey, err := h.VolumeKey(c.key)
		if err != nil {
			return err
		}
		defer clear(volumeKey)
		volume, err := h.Volume(c.out, size, volumeKey)
		v = &luksimg.Image{Source: volume}
		return err
	})
	return v, err
}
