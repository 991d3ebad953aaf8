package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
)

// A sizeFlag is a number of bytes, as qemu-img takes it: 4096, 64k, 1.5M.
type sizeFlag struct{ n int64 }

func (s *sizeFlag) Type() string   { return "BYTES" }
func (s *sizeFlag) String() string { return strconv.FormatInt(s.n, 10) }

func (s *sizeFlag) Set(text string) error {
	digits, shift := text, 0
	if n := len(text); n > 0 {
		if i := strings.IndexByte("kmgtp", text[n-1]|0x20); i >= 0 {
			digits, shift = text[:n-1], 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n<<shift>>shift != n {
		return fmt.Errorf("want a number of bytes, with k, M, G or T for powers of 1024")
	}
	s.n = n << shift
	return nil
}

type catFlags struct {
	*global
	source         sourceFlags
	offset, length sizeFlag
	jobs           jobsFlag
}

func newCat(g *global) *cobra.Command {
	o := &catFlags{global: g, length: sizeFlag{-1}}
	c := &cobra.Command{
		Use:   "cat FILE",
		Short: "Write what is in a disk image to standard output",
		Long: `Cat writes what the guest of the image FILE sees to standard output, or a part of it. What is
past the end of the disk is left out.

If FILE is encrypted, its key is asked for on the terminal unless a flag gives it. As convert
does, it opens other files only with --allow-backing, and only in the folder of FILE.`,
		Example: `  luksimg cat disk.qcow2 | sha256sum
  luksimg cat --length 512 --key-file dek.b64 disk.luks | xxd`,
		Args: args("FILE"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0]) },
	}
	f := c.Flags()
	o.source.add(c, "FILE")
	g.kdf.add(c)
	o.cloud.add(c, serviceCOS)
	f.Var(&o.offset, "offset", "where to start, in bytes; k, M, G, T are powers of 1024")
	f.Var(&o.length, "length", "how many bytes (default: all to the end)")
	o.jobs.add(c)
	f.Lookup("length").DefValue = ""
	return c
}

func (o *catFlags) run(c *cobra.Command, name string) error {
	ctx, t := c.Context(), o.talk(c)
	if err := o.source.check(c); err != nil {
		return err
	}
	if o.json {
		return fmt.Errorf("what is in the image is the result: there is no room for --json")
	}
	if err := checkStdout("the disk"); err != nil {
		return err
	}
	s, err := o.source.open(c, t, name)
	if err != nil {
		return err
	}
	defer s.close()
	start := min(o.offset.n, s.img.Size())
	n := s.img.Size() - start
	if o.length.n >= 0 {
		n = min(n, o.length.n)
	}
	var src image.Source = s.img
	if n < s.img.Size() {
		src = io.NewSectionReader(s.img, start, n)
	}
	widen(os.Stdout)
	err = parallel.Await(ctx, func() error {
		return luksimg.DecryptInOrder(ctx, os.Stdout, src, luksimg.RunOptions{Jobs: int(o.jobs)})
	})
	if err != nil {
		return s.wrap(err)
	}
	return errors.Join(s.wrap(s.unchanged()), syncStdout())
}
