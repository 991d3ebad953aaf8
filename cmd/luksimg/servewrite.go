package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/luks"
)

// writable opens an image for writing and locks it against other runs of luksimg.
func (o *serveFlags) writable(c *cobra.Command, name string) (*served, error) {
	in, f, err := o.lock(c.Context(), name, o.source.unlock.partition)
	if err != nil {
		return nil, err
	}
	in.r = f
	format := luksimg.Format(o.source.format)
	switch {
	case format != "" || o.source.unlock.header != "":
	case in.partition == nil:
		if format, err = luksimg.Detect(f, in.size); err != nil {
			in.close()
			return nil, in.wrap(err)
		}
	case luks.Detect(f, in.size): // other formats cannot be in a partition
		format = luksimg.LUKS2
	default:
		format = luksimg.Raw
	}
	return o.open(c, in, f, format)
}

// open opens a locked image of the given format. A detached header implies LUKS.
func (o *serveFlags) open(c *cobra.Command, in *input, f luks.File, format luksimg.Format) (*served, error) {
	switch {
	case o.source.unlock.header != "" || format == luksimg.LUKS1 || format == luksimg.LUKS2:
		e, err := readHeader(c.Context(), o.global, in, o.source.unlock.header, o.source.unlock.openOptions())
		if err != nil {
			return nil, err
		}
		s, err := o.source.volume(c, o.global, e)
		if err != nil {
			return nil, err
		}
		v := s.img.Source.(*luks.Volume)
		return &served{source: s, disk: v, target: volumeTarget{v, f}, format: s.img.Format, sectorSize: e.h.SectorSize()}, nil
	case format == luksimg.Raw:
		opts := luksimg.ImageOptions{Format: luksimg.Format(o.source.format)}
		if in.partition != nil {
			opts.Format = luksimg.Raw
		}
		img, err := in.image(c.Context(), opts)
		if err == nil {
			err = in.wrap(o.kdf.policy.looked())
		}
		if err != nil {
			in.close()
			return nil, err
		}
		d := &served{source: &source{input: in, img: img, closes: []func(){in.close}}, disk: img, target: f, format: format}
		if in.partition == nil {
			d.target = rawTarget{in.f}
		}
		return d, nil
	}
	in.close()
	return nil, rest.WithHint(fmt.Errorf("%s: a %s image is only read: --rw is for LUKS images and raw disks", in.name, format),
		"leave --rw out, or convert it to a raw disk first: luksimg convert SRC DST")
}

// A volumeTarget writes to a LUKS image. It does not free storage, because a hole would decrypt to random data.
type volumeTarget struct {
	*luks.Volume
	f luks.File
}

func (t volumeTarget) Sync() error { return t.f.Sync() }

// A rawTarget writes to a raw disk.
type rawTarget struct{ *os.File }

// Punch frees storage where the system supports it.
func (t rawTarget) Punch(off, n int64) error { return punch(t.File, off, n) }
