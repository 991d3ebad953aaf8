package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
)

// A diskSource is the disk to encrypt: an image, or a stream of raw bytes.
type diskSource struct {
	in       *input         // nil for standard input
	img      *luksimg.Image // nil for standard input
	stream   io.Reader
	size     int64 // zero if it is not known
	format   string
	warnings []string
	head     []byte // the first bytes of standard input
}

func (s *diskSource) close() {
	if s.in != nil {
		s.in.f.Close()
	}
}

// peekSize is how much of standard input is looked at.
const peekSize = 64 << 10

func (o *encryptFlags) source(name string) (*diskSource, error) {
	if name != "-" {
		in, err := openInput(name)
		if err != nil {
			return nil, err
		}
		img, err := in.image(o.sourceFormat)
		if err != nil {
			in.f.Close()
			return nil, err
		}
		return &diskSource{in: in, img: img, stream: io.NewSectionReader(img, 0, img.Size()), size: img.Size(),
			format: string(img.Format), warnings: img.Warnings}, nil
	}
	b := bufio.NewReaderSize(os.Stdin, peekSize)
	head, err := b.Peek(peekSize)
	if err != nil && err != io.EOF {
		return nil, err
	}
	s := &diskSource{stream: b, format: string(luksimg.Raw), head: bytes.Clone(head)}
	if o.sourceFormat == string(luksimg.Raw) {
		return s, nil
	}
	format, err := luksimg.Detect(bytes.NewReader(head), int64(len(head)))
	if err == nil && (format != luksimg.Raw || o.sourceFormat != "") {
		if o.sourceFormat != "" {
			format = luksimg.Format(o.sourceFormat)
		}
		err = withHint(fmt.Errorf("standard input is taken as a raw disk, but this is %s, which needs seeking", format),
			"write it to a file first")
	}
	return s, err
}

// label warns of a partition table that does not go with what was made.
func (s *diskSource) label(t *talk, r *luksimg.Result) {
	var src image.Source = s.img
	if s.img == nil {
		src = io.NewSectionReader(bytes.NewReader(s.head), 0, int64(len(s.head)))
	}
	l := luksimg.LabelOf(src)
	if l == luksimg.GPT && r.VolumeSize > r.SourceSize {
		t.warn("the disk has a GPT, whose backup header is no longer at the end of the disk: the disk became %d bytes longer. "+
			"Most systems put that right when they boot; sgdisk --move-second-header does it by hand", r.VolumeSize-r.SourceSize)
	}
	if l != luksimg.NoLabel && r.LUKS.SectorSize != 512 {
		t.warn("the disk has a partition table, which counts in sectors of 512 bytes; with sectors of %d bytes "+
			"its partitions will not be found", r.LUKS.SectorSize)
	}
}
