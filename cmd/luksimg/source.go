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
	*source           // nil for standard input
	stream  io.Reader // nil for an image
	size    int64     // zero if it is not known
	format  string
	head    []byte // the first bytes of standard input
}

func (s *diskSource) close() {
	if s.source != nil {
		s.source.close()
	}
}

// unchanged tells whether the source is still what it was.
func (s *diskSource) unchanged() error {
	if s.source == nil {
		return nil
	}
	return s.source.unchanged()
}

// disk returns the disk as an image, nil if it is a stream.
func (s *diskSource) disk() image.Source {
	if s.source == nil {
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
	return &diskSource{stream: stream, format: string(luksimg.Raw), head: stream.Head()}, nil
}

// looked returns what there is to look at: the disk, or the start of a stream.
func (s *diskSource) looked() image.Source {
	if s.source == nil {
		return io.NewSectionReader(bytes.NewReader(s.head), 0, int64(len(s.head)))
	}
	return s.img
}

// inside warns of what a cloud asks of a disk and this one does not have. Whether that can
// be found out or not, the job goes on.
func (s *diskSource) inside(ctx context.Context, t *talk.Talk) {
	name := "standard input"
	if s.source != nil {
		name = s.name
	}
	c, err := contents.Inspect(ctx, s.looked())
	if err != nil {
		return
	}
	warnInside(t, name, c)
	if s.source != nil && c.CloudInit == contents.NotFound {
		t.Warn("%s: cloud-init is not installed on the disk, and the cloud asks for it: a server made of this image will have no network and no user", name)
	}
}

// warnInside warns of disks that no server starts from.
func warnInside(t *talk.Talk, name string, c *contents.Info) {
	for _, text := range c.Obstacles() {
		t.Warn("%s: %s", name, text)
	}
}
