package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/luks"
)

// A comparison compares a newly written image with its source.
type comparison struct {
	src         image.Source
	out, header image.Source // nil if the header precedes the data
	format      luksimg.Format
	key         []byte
	skipZeros   bool
	jobs        int
}

// written returns the content of an output file. It drops the file from the cache where the system can, so that reads
// come from the disk.
func written(f *output.File) (image.Source, error) {
	if err := f.DropCache(); err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	return io.NewSectionReader(f, 0, size), err
}

// run reads the image back and compares it with the source.
func (c *comparison) run(ctx context.Context, t *talk.Talk, p *talk.Progress) error {
	v, err := c.open(ctx)
	if err != nil {
		return fmt.Errorf("reading the image back: %w", err)
	}
	defer v.Close()
	show, err := p.Start(t, "verify", v.Size())
	if err != nil {
		return err
	}
	defer show.Done()
	return luksimg.Verify(ctx, c.src, v, luksimg.VerifyOptions{
		SkipZeros:  c.skipZeros,
		RunOptions: luksimg.RunOptions{Jobs: c.jobs, Progress: show.Add},
	})
}

// made are the options for an image that luksimg has just made. Its key derivation has the cost that the user chose,
// so no limit applies.
var made = luks.OpenOptions{MaxWork: math.MaxUint64}

// open opens the image with its key.
func (c *comparison) open(ctx context.Context) (*luksimg.Image, error) {
	if c.header == nil {
		return luksimg.OpenImage(ctx, c.out, c.out.Size(), luksimg.ImageOptions{Format: c.format, Key: c.key, LUKS: made})
	}
	return luksimg.OpenDetached(ctx, c.header, c.out, c.key, made)
}

// compare compares the image with the disk if --verify was given.
func (j *encryptJob) compare(ctx context.Context, r *luksimg.Result) error {
	if !j.o.verify {
		return nil
	}
	c := comparison{src: j.source.disk(), format: r.Format, key: j.key, skipZeros: j.o.discardZeros, jobs: int(j.o.jobs)}
	var err error
	if j.header != nil && j.out.late { // commit has closed the header by then
		h, err := openInputFlags(ctx, j.o.header, os.O_RDONLY)
		if err != nil {
			return err
		}
		defer h.close()
		c.header = io.NewSectionReader(h.r, 0, h.size)
	} else if j.header != nil {
		if c.header, err = written(j.header); err != nil {
			return err
		}
	}
	back, closeBack, err := j.out.readBack()
	if err != nil {
		return err
	}
	defer closeBack()
	c.out = back
	return c.run(ctx, j.t, &j.o.progress)
}
