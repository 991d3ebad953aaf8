package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/term"
)

type measureFlags struct {
	*global
	source   sourceFlags
	luks     luksFlags
	profile  string
	detached bool
	size     flags.Size
}

func newMeasure(g *global) *cobra.Command {
	o := &measureFlags{global: g}
	c := &cobra.Command{
		Use:   "measure SRC",
		Short: "Print the size of the image that encrypt would write",
		Long: `Measure prints the exact length, in bytes, of the file that encrypt would write from SRC with the same
flags. For LUKS it reads no data, unless SRC is compressed without an index. With --size it needs no
SRC; it then measures a VHD or qcow2 image as if the disk were empty.`,
		Example: `  luksimg measure disk.qcow2
  luksimg measure --profile classic-luks --size 100G`,
		Args: flags.InPlace("size", "SRC"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	f.StringVar(&o.profile, "profile", "", "make an image for a cloud: "+profileNames())
	f.BoolVar(&o.detached, "detached", false, "the header is detached from the data, as with encrypt --header")
	f.Var(&o.size, "size", "size of the disk in bytes, in place of SRC; k, M, G, T are powers of 1024")
	f.Lookup("size").DefValue = ""
	o.source.addSecond(c)
	o.source.sum.first = true
	g.kdf.add(c)
	o.luks.add(c)
	g.web.add(c)
	o.cloud.add(c, serviceCOS)
	return c
}

// measureResult is the output of measure --json. Required has the meaning of qemu-img measure.
type measureResult struct {
	Required   int64 `json:"required"` // size of the file
	Header     int64 `json:"header"`   // size of the detached header
	SourceSize int64 `json:"source_size"`
	VolumeSize int64 `json:"volume_size"`
}

func (o *measureFlags) run(c *cobra.Command, args []string) error {
	if err := o.source.check(c); err != nil {
		return err
	}
	lo, err := o.luks.options()
	if err != nil {
		return err
	}
	lo.Detached = o.detached
	var src image.Source = image.Zeros(o.size.N)
	if len(args) > 0 {
		s, err := o.source.open(c, o.global, args[0])
		if err != nil {
			return err
		}
		defer s.close()
		if err := s.img.CheckEnd(c.Context()); err != nil {
			return s.wrap(err)
		}
		src = s.img
	}
	opts := luksimg.EncryptOptions{Profile: luksimg.Profile(o.profile), Format: o.luks.container(), LUKS: lo}
	opts.Jobs = flags.CPUs
	r, err := luksimg.Measure(c.Context(), src, opts)
	if err != nil {
		return err
	}
	return o.Result(measureResult{Required: r.File, Header: r.Header, SourceSize: r.Source, VolumeSize: r.Volume},
		fmt.Sprintf("%d bytes (%s) for a disk of %s", r.File, term.Bytes(r.File), term.Bytes(r.Source)))
}
