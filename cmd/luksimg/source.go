package main

import (
	"bytes"
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/contents"
	"github.com/luksimg/luksimg/image"
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
func (o *encryptFlags) disk(c *cobra.Command, t *talk, name string) (*diskSource, error) {
	if name != "-" {
		s, err := o.source.open(c, t, name)
		if err != nil {
			return nil, err
		}
		return &diskSource{source: s, size: s.img.Size(), format: string(s.img.Format)}, nil
	}
	widen(os.Stdin)
	stream, err := newRawStream(os.Stdin, luksimg.Format(o.source.format))
	if err != nil {
		return nil, err
	}
	return &diskSource{stream: stream, format: string(luksimg.Raw), head: stream.head}, nil
}

// label warns of a partition table that does not go with what was made.
func (s *diskSource) label(t *talk, r *luksimg.Result) {
	src := s.disk()
	if src == nil {
		src = io.NewSectionReader(bytes.NewReader(s.head), 0, int64(len(s.head)))
	}
	l := luksimg.LabelOf(src)
	if l == luksimg.GPT && r.VolumeSize > r.SourceSize {
		t.warn("the disk has a GPT, whose backup header is no longer at the end of the disk: the disk became %d bytes longer. "+
			"Most systems put that right when they boot; sgdisk --move-second-header does it by hand", r.VolumeSize-r.SourceSize)
	}
	if l != luksimg.NoLabel && r.LUKS.SectorSize > 512 {
		t.warn("the disk has a partition table, which counts in sectors of 512 bytes; with sectors of %d bytes "+
			"its partitions will not be found", r.LUKS.SectorSize)
	}
}

// inside warns of what a cloud asks of a disk and this one does not have. Whether that can
// be found out or not, the job goes on.
func (s *diskSource) inside(ctx context.Context, t *talk) {
	if s.source == nil {
		return
	}
	c, err := contents.Inspect(ctx, s.img)
	if err != nil {
		return
	}
	if c.Encrypted {
		t.warn("%s: there is something encrypted on the disk already, which the cloud can not start from", s.name)
	}
	if c.CloudInit == contents.NotFound {
		t.warn("%s: cloud-init is not installed on the disk, and the cloud asks for it: a server made of this image will have no network and no user", s.name)
	}
}
