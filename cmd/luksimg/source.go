package main

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/contents"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
)

// A diskSource is the disk to encrypt: an image, or a stream of raw bytes.
type diskSource struct {
	*source                    // without an image for a stream
	stream  *luksimg.RawReader // nil for an image
	size    int64              // zero if it is not known
	format  string
}

// disk returns the disk as an image, nil if it is a stream.
func (s *diskSource) disk() image.Source {
	if s.img == nil {
		return nil
	}
	return s.img
}

// disk opens the disk to encrypt.
func (o *encryptFlags) disk(c *cobra.Command, name string) (*diskSource, error) {
	if name != "-" && !stdio.IsStream(name) {
		s, err := o.source.open(c, o.global, name)
		if err != nil {
			return nil, err
		}
		return &diskSource{source: s, size: s.img.Size(), format: string(s.img.Format)}, nil
	}
	f, err := stdio.OpenStream(c.Context(), name)
	if err != nil {
		return nil, err
	}
	var stream *luksimg.RawReader
	err = parallel.Await(c.Context(), func() (err error) { // for the first bytes
		stream, err = luksimg.NewRawReader(f, luksimg.Format(o.source.format))
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(stream.Head()) == 0 && !o.allowEmpty {
		return nil, rest.WithHint(fmt.Errorf("%s is empty: what should have written to it has failed", stdio.Name(name)), "if an empty disk is what you want, say --allow-empty")
	}
	return &diskSource{source: &source{input: &input{name: "standard input"}}, stream: stream, format: string(luksimg.Raw)}, nil
}

// looked returns what there is to look at: the disk, or the start of a stream.
func (s *diskSource) looked() image.Source {
	if s.img == nil {
		head := s.stream.Head()
		return io.NewSectionReader(bytes.NewReader(head), 0, int64(len(head)))
	}
	return s.img
}

// inside warns of what a cloud asks of a disk and this one does not have. Whether that can
// be found out or not, the job goes on.
func (s *diskSource) inside(ctx context.Context, t *talk.Talk) {
	c, err := contents.Inspect(ctx, s.looked())
	if err != nil {
		return
	}
	t.WarnAll(s.name+": ", c.Obstacles())
	if s.img != nil && c.CloudInit == contents.NotFound {
		t.Warn("%s: cloud-init is not installed on the disk, and the cloud asks for it: a server made of this image will have no network and no user", s.name)
	}
}

// label warns of a partition table that does not go with what was made.
func (s *diskSource) label(t *talk.Talk, r *luksimg.Result) {
	c := r.Change()
	if c.Longer > 0 && c.Longer < int64(c.SectorSize) { // more is what a profile asks for
		t.Say("the disk became %d bytes longer, to have whole sectors of %d bytes", c.Longer, c.SectorSize)
	}
	t.WarnAll("", c.Warnings(s.looked()))
}
