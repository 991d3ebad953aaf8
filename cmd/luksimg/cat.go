package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/stdio"
)

type catFlags struct {
	*global
	source         sourceFlags
	offset, length flags.Size
	jobs           flags.Jobs
}

func newCat(g *global) *cobra.Command {
	o := &catFlags{global: g, length: flags.Size{N: -1}}
	c := &cobra.Command{
		Use:   "cat FILE",
		Short: "Write the disk in an image to standard output",
		Long: `Cat writes the disk in the image FILE to standard output, as its guest sees it, or a part of it. It
stops at the end of the disk.

If FILE is encrypted, cat asks for the key on the terminal unless a flag gives it. It opens other
files only with --allow-backing, and only in the folder of FILE.`,
		Example: `  luksimg cat disk.qcow2 | sha256sum
  luksimg cat --length 512 --key-file dek.b64 disk.luks | xxd`,
		Args: flags.Args("FILE"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0]) },
	}
	f := c.Flags()
	o.source.add(c, g, "FILE")
	o.source.sum.first = true
	g.kdf.add(c)
	g.web.add(c)
	o.cloud.add(c, serviceCOS)
	f.Var(&o.offset, "offset", "where to start, in bytes; k, M, G, T are powers of 1024")
	f.Var(&o.length, "length", "how many bytes (default: all to the end)")
	o.jobs.Add(c)
	f.Lookup("length").DefValue = ""
	return c
}

func (o *catFlags) run(c *cobra.Command, name string) error {
	ctx := c.Context()
	if err := o.source.check(c); err != nil {
		return err
	}
	if o.AsJSON {
		return fmt.Errorf("cat writes the disk to standard output, so it does not support --json")
	}
	if err := stdio.CheckStdout("the disk"); err != nil {
		return err
	}
	s, err := o.source.open(c, o.global, name)
	if err != nil {
		return err
	}
	defer s.close()
	start := o.offset.N
	if start > s.img.Size() {
		return s.wrap(fmt.Errorf("--offset %d is past the end of the disk, which has %d bytes", start, s.img.Size()))
	}
	n := s.img.Size() - start
	if o.length.N >= 0 {
		n = min(n, o.length.N)
	}
	var src image.Source = s.img
	if n < s.img.Size() {
		src = io.NewSectionReader(s.img, start, n)
	}
	stdio.Widen(os.Stdout)
	err = parallel.Await(ctx, func() error {
		_, err := luksimg.DecryptInOrder(ctx, os.Stdout, src, luksimg.DecryptOptions{RunOptions: luksimg.RunOptions{Jobs: int(o.jobs)}})
		return err
	})
	if err != nil {
		return s.wrap(err)
	}
	if n < s.img.Size() { // the digest in an archive covers the whole disk only
		err = s.unchanged()
	} else {
		err = s.intact(ctx)
	}
	return errors.Join(s.wrap(err), stdio.SyncStdout())
}
