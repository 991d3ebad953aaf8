package main

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/image/web"
	"github.com/luksimg/luksimg/internal/checksum"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/internal/summed"
	"github.com/luksimg/luksimg/internal/term"
)

// sumFlags give the checksum of an image file as published, before unpacking.
type sumFlags struct {
	hex, list string

	// first is set by the verb: compare the whole file before using it, because the verb cannot take back its output.
	first bool

	want    *checksum.Sum  // nil until known
	checked *summed.Source // the file after its first comparison; nil before
}

func (o *sumFlags) add(c *cobra.Command, what string) {
	f := c.Flags()
	f.StringVar(&o.hex, "source-sha256", "", "SHA-256 or SHA-512 of the file "+what+" as published, before any decompression, in `HEX`")
	f.StringVar(&o.list, "sha256-file", "", "take the checksum of "+what+" from this `FILE`, a list as sha256sum writes it (SHA256SUMS), or from an https:// address")
}

// check validates the flags before any file is opened.
func (o *sumFlags) check(c *cobra.Command) error {
	if err := flags.AtMostOne(c, "source-sha256", "sha256-file"); err != nil || o.hex == "" {
		return err
	}
	s, err := checksum.Parse(o.hex)
	if err != nil {
		return fmt.Errorf("--source-sha256: %w", err)
	}
	o.want = &s
	return nil
}

// given reports whether a checksum is given.
func (o *sumFlags) given() bool { return o.hex != "" || o.list != "" }

// sum returns the expected checksum of the file with this name, without folder.
func (o *sumFlags) sum(ctx context.Context, g *global, base string) (checksum.Sum, error) {
	if o.want != nil {
		return *o.want, nil
	}
	l, err := o.read(ctx, g)
	if err != nil {
		return checksum.Sum{}, err
	}
	s, err := l.Find(base)
	if err != nil {
		return s, fmt.Errorf("%s: %w", shown(o.list), err)
	}
	if l.Signed {
		g.Say("%s has a PGP signature, which luksimg does not check; gpg --verify does", shown(o.list))
	}
	o.want = &s
	return s, nil
}

func (o *sumFlags) read(ctx context.Context, g *global) (*checksum.List, error) {
	if !isRemote(o.list) {
		return stdio.Parse(ctx, o.list, checksum.Read)
	}
	var r io.ReadCloser
	if web.Is(o.list) {
		f, err := g.web.open(ctx, o.list)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f.Stream(ctx)
	} else {
		in, err := openInput(ctx, g, o.list)
		if err != nil {
			return nil, err
		}
		defer in.close()
		r = io.NopCloser(io.NewSectionReader(in.r, 0, in.size))
	}
	defer r.Close()
	l, err := checksum.Read(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown(o.list), err)
	}
	return l, nil
}

// large is the number of remaining bytes from which a message announces the read.
const large = 256 << 20

// watch hashes a file while it is read. The checksum is compared at the end, when the job calls unchanged, or if
// first is set at once.
func (o *sumFlags) watch(ctx context.Context, g *global, in *input) error {
	if !o.given() {
		return nil
	}
	if in.layout != nil {
		return errors.New("a folder has no checksum; luksimg compares all files of a container image with their digests")
	}
	src, ok := in.r.(image.Source)
	if in.file != nil {
		src, ok = in.file, true
	}
	if !ok {
		src = io.NewSectionReader(in.r, 0, in.size)
	}
	if o.checked != nil { // the file is opened a second time
		again, err := o.checked.Again(src)
		in.r = again
		return err
	}
	want, err := o.sum(ctx, g, in.base)
	if err != nil {
		return err
	}
	s := summed.New(src, want.New())
	compare := func() error {
		if left := s.Left(); left >= large {
			g.Say("%s: reading another %s for the checksum", in.name, term.Bytes(left))
		}
		got, err := s.Sum(ctx)
		if err != nil {
			return err
		}
		return want.Check(got)
	}
	if o.first {
		if err := compare(); err != nil {
			return err
		}
		in.r, o.checked = s, s
		return in.unchanged()
	}
	in.r, in.compare = s, compare
	return nil
}

// stream is watch for a stream.
func (o *sumFlags) stream(ctx context.Context, g *global, in *input, r io.Reader) (io.Reader, error) {
	if !o.given() {
		return r, nil
	}
	want, err := o.sum(ctx, g, in.base)
	if err != nil {
		return nil, err
	}
	s := &summedStream{r, want.New()}
	in.compare = func() error {
		if _, err := io.Copy(io.Discard, s); err != nil { // data after the disk
			return err
		}
		return want.Check(s.hash.Sum(nil))
	}
	return s, nil
}

type summedStream struct {
	io.Reader
	hash hash.Hash
}

func (s *summedStream) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.hash.Write(p[:n])
	return n, err
}

// published returns the checksum that the file was compared with, as "sha256:...", or "".
func (o *sumFlags) published() string {
	if o.want == nil {
		return ""
	}
	return o.want.String()
}
