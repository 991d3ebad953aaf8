package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/contents"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/image/web"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
)

// A diskSource is the disk to encrypt: an image, or a stream of raw bytes.
type diskSource struct {
	*source                    // has no image if the disk is a stream
	stream  *luksimg.RawReader // nil for an image
	size    int64              // 0 if unknown
	format  string
	web     bool // the stream comes from a web server without range requests
}

// disk returns the disk as an image, or nil if it is a stream.
func (s *diskSource) disk() image.Source {
	if s.img == nil {
		return nil
	}
	return s.img
}

// disk opens the disk to encrypt.
func (o *encryptFlags) disk(c *cobra.Command, name string) (*diskSource, error) {
	if name == "-" || stdio.IsStream(name) {
		f, err := stdio.OpenStream(c.Context(), name)
		if err != nil {
			return nil, err
		}
		s := &source{input: &input{name: "standard input"}}
		r, err := o.source.sum.stream(c.Context(), o.global, s.input, f)
		if err != nil {
			return nil, err
		}
		return o.inOrder(c.Context(), &diskSource{source: s}, r, -1)
	}
	// LUKS images are written in order, and their header does not hold the length of the disk.
	o.source.unpack.stream = !o.seeks() && !o.verify && !o.discardZeros
	s, err := o.source.open(c, o.global, name)
	if err == nil {
		return &diskSource{source: s, size: s.img.Size(), format: string(s.img.Format)}, nil
	}
	if errors.Is(err, web.ErrNoRanges) {
		return o.webStream(c.Context(), name)
	}
	if !errors.Is(err, luksimg.ErrUnknownSize) {
		return nil, err
	}
	in, err := openInput(c.Context(), o.global, name)
	if err != nil {
		return nil, err
	}
	if err := o.source.sum.watch(c.Context(), o.global, in); err != nil {
		in.close()
		return nil, in.wrap(err)
	}
	s = &source{input: in, closes: []func(){in.close}}
	return o.inOrder(c.Context(), &diskSource{source: s}, io.NewSectionReader(in.r, 0, in.size), in.size)
}

// webStream reads the disk as a stream from a web server without range requests.
func (o *encryptFlags) webStream(ctx context.Context, name string) (*diskSource, error) {
	if o.seeks() {
		return nil, fmt.Errorf("%s: %w, and a %s image cannot be made from a stream", shown(name), web.ErrNoRanges, o.made())
	}
	if o.verify || o.discardZeros {
		return nil, fmt.Errorf("%s: %w, and --verify and --discard-zeros need seeking", shown(name), web.ErrNoRanges)
	}
	f, err := o.web.open(ctx, name)
	if err != nil {
		return nil, err
	}
	o.warnVersion(f)
	r := f.Stream(ctx)
	s := &source{input: &input{name: f.Name(), base: f.Base(), size: f.Size()}, closes: []func(){func() { r.Close(); f.Close() }}}
	summed, err := o.source.sum.stream(ctx, o.global, s.input, r)
	if err != nil {
		s.close()
		return nil, err
	}
	d, err := o.inOrder(ctx, &diskSource{source: s, web: true}, summed, f.Size())
	if err != nil {
		return nil, s.wrap(err)
	}
	if len(s.layers) == 0 {
		d.size = f.Size()
	}
	return d, nil
}

// inOrder reads the disk s from a stream of size bytes, or of unknown size if size is -1. On failure it closes s.
func (o *encryptFlags) inOrder(ctx context.Context, s *diskSource, r io.Reader, size int64) (*diskSource, error) {
	s.format = string(luksimg.Raw)
	err := parallel.Await(ctx, func() error { // blocks until the first bytes arrive
		u, err := luksimg.UnpackStream(ctx, r, size, o.source.unpack.options(&o.Talk, s.name))
		if err != nil {
			return err
		}
		s.layers = u.Layers
		s.closes = append(s.closes, func() { u.Close() })
		s.stream, err = luksimg.NewRawReader(u, luksimg.Format(o.source.format))
		return err
	})
	if err == nil && len(s.stream.Head()) == 0 && !o.allowEmpty {
		err = rest.WithHint(fmt.Errorf("%s is empty: the program that writes to it has probably failed", s.name), "if you want an empty disk, use --allow-empty")
	}
	if err != nil {
		if ctx.Err() == nil { // otherwise the reader may still be running
			s.close()
		}
		if err = s.seeking(err); s.r != nil {
			err = s.wrap(err)
		}
		return nil, err
	}
	return s, nil
}

// seeking adds what to do to the error for a stream that turned out to be an image that needs seeking. Its start or
// its end shows the format.
func (s *diskSource) seeking(err error) error {
	e := new(luksimg.SeekingError)
	switch {
	case !errors.As(err, &e):
		return err
	case s.web:
		return fmt.Errorf("%s: %w, and this is %s, which needs seeking", s.name, web.ErrNoRanges, e.Format)
	case s.r != nil && e.Format == luksimg.VHD: // only a file gets here: a stream shows other formats at its start
		return s.wrap(luksimg.ErrFixedVHD)
	}
	return s.wrap(err)
}

// looked returns the readable part of the disk: all of it, or the start of a stream.
func (s *diskSource) looked() image.Source {
	if s.img != nil {
		return s.source.looked()
	}
	head := s.stream.Head()
	return io.NewSectionReader(bytes.NewReader(head), 0, int64(len(head)))
}

// looked returns the readable part of an image.
func (s *source) looked() image.Source {
	if s.img.InOrder {
		return io.NewSectionReader(s.img, 0, min(64<<10, s.img.Size()))
	}
	return s.img
}

// inside warns if the disk lacks something that the cloud needs. If luksimg cannot find out, it does not warn.
func (s *diskSource) inside(ctx context.Context, t *talk.Talk) {
	c, err := contents.Inspect(ctx, s.looked())
	if err != nil {
		return
	}
	t.WarnAll(s.name+": ", c.Obstacles())
	if s.img != nil && !s.img.InOrder && c.CloudInit == contents.NotFound {
		t.Warn("%s: the disk lacks cloud-init, which the cloud needs: a server made from this image will have no network and no user", s.name)
	}
}

// label warns if the partition table does not fit the new image.
func (s *diskSource) label(t *talk.Talk, r *luksimg.Result) {
	c := r.Change()
	if c.Longer > 0 && c.Longer < int64(c.SectorSize) { // a profile adds more than that
		t.Say("the disk became %d bytes longer, because it needs whole sectors of %d bytes", c.Longer, c.SectorSize)
	}
	t.WarnAll("", c.Warnings(s.looked()))
}
