package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/term"
)

type decryptFlags struct {
	*global
	unlock   unlockFlags
	progress progressFlag
	format   string
	jobs     int
	force    bool
}

func newDecrypt(g *global) *cobra.Command {
	o := &decryptFlags{global: g}
	c := &cobra.Command{
		Use:   "decrypt SRC DST",
		Short: "Decrypt a LUKS image into a raw disk image",
		Long: `Decrypt opens the LUKS image SRC with a key and writes its plaintext to DST, a raw disk
image that only you may read. Runs of zeros become holes. With - for DST the disk goes to
standard output.

DST has the length of all that SRC holds. If the image was padded when it was made, as
profile classic-luks does, that is longer than the disk was.`,
		Example: `  luksimg decrypt disk.luks disk.raw
  luksimg decrypt --key-file dek.b64 disk.luks - | sha256sum`,
		Args: args("SRC", "DST"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0], args[1]) },
	}
	f := c.Flags()
	o.unlock.add(c)
	o.unlock.addImage(c)
	f.StringVar(&o.format, "format", "raw", "format of DST: raw")
	f.IntVar(&o.jobs, "jobs", 0, "number of workers (default: one for each CPU)")
	f.BoolVar(&o.force, "force", false, "replace DST if it is there")
	o.progress.add(c)
	return c
}

// decryptResult is what decrypt --json prints.
type decryptResult struct {
	Output       string   `json:"output"`
	Format       string   `json:"format"`
	SourceFormat string   `json:"source_format"`
	FileSize     int64    `json:"file_size"`
	UUID         string   `json:"uuid"`
	Warnings     []string `json:"warnings,omitempty"`
}

func (o *decryptFlags) run(c *cobra.Command, src, dst string) error {
	ctx, t := c.Context(), o.talk(c)
	switch {
	case o.format != "raw":
		return fmt.Errorf("--format %s: raw is the one that is written", o.format)
	case dst == "-" && o.json:
		return errors.New("with - for DST the disk is the result: there is no room for --json")
	case dst == "-" && term.IsTerminal(os.Stdout):
		return withHint(errors.New("the disk will not be written to a terminal"), "redirect standard output, or name a file")
	case dst != "-":
		if err := checkApart(src, dst); err != nil {
			return err
		}
	}
	if o.unlock.header != "" && dst != "-" {
		if err := checkApart(o.unlock.header, dst); err != nil {
			return err
		}
	}
	in, err := o.unlock.openLUKS(t, src)
	if err != nil {
		return err
	}
	defer in.close()
	var out *output.File
	if dst != "-" {
		if out, err = output.Create(dst, 0o600, o.force); err != nil {
			return err
		}
		defer out.Abort()
	}
	v, err := o.unlock.open(c, t, in)
	if err != nil {
		return err
	}
	defer v.Close()
	p, err := o.progress.start(t, "decrypt", v.Size())
	if err != nil {
		return err
	}
	run := luksimg.RunOptions{Jobs: o.jobs, Progress: p.Add}
	if out == nil {
		err = parallel.Await(ctx, func() error { return luksimg.DecryptStream(ctx, os.Stdout, v, run) })
	} else {
		err = luksimg.Decrypt(ctx, out, v, run)
	}
	p.Done()
	if err != nil {
		return in.wrap(err)
	}
	text := fmt.Sprintf("%s: raw disk of %s", stdinName(dst), term.Bytes(v.Size()))
	if out == nil {
		return nil
	}
	if err := out.Commit(); err != nil {
		return err
	}
	return t.result(decryptResult{
		Output: dst, Format: "raw", SourceFormat: fmt.Sprintf("luks%d", in.h.Version()),
		FileSize: v.Size(), UUID: in.h.UUID(), Warnings: t.warnings,
	}, text)
}
