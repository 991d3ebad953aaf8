package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/luks"
)

// lock opens an image, or a partition of it, for changes. Other runs of luksimg cannot change the file until it is
// closed.
func (g *global) lock(ctx context.Context, name string, n flags.Partition) (*input, luks.File, error) {
	in, err := openInputFlags(ctx, name, os.O_RDWR)
	if err != nil {
		return nil, nil, err
	}
	var f luks.File
	if err = output.Lock(in.f); err == nil {
		err = in.take(ctx, g, n)
	}
	if err == nil {
		f, err = in.writable()
	}
	if err != nil {
		in.close()
		return nil, nil, in.wrap(err)
	}
	return in, f, nil
}

// editing makes c a verb that changes the header of the image FILE in place. change returns the result, and its text
// after the name of the file.
func (g *global) editing(c *cobra.Command, o *luks.OpenOptions, change func(c *cobra.Command, name string, e *luks.Editor) (any, string, error)) *cobra.Command {
	var n flags.Partition
	n.Add(c, "FILE")
	c.RunE = func(c *cobra.Command, args []string) error {
		in, f, err := g.lock(c.Context(), args[0], n)
		if err != nil {
			return err
		}
		defer in.close()
		e, err := luks.Edit(f, in.size, g.kdf.apply(*o))
		if err != nil {
			return in.wrap(err)
		}
		g.WarnAll(in.name+": ", e.Header().Info().Warnings)
		result, text, err := change(c, in.name, e)
		if err != nil {
			return in.wrap(err)
		}
		return g.Result(result, talk.Line("%s: ", in.name)+text)
	}
	return c
}

// reading makes c a verb that reads the header of the image FILE.
func (g *global) reading(c *cobra.Command, read func(c *cobra.Command, args []string, in *encrypted) error) *cobra.Command {
	var n flags.Partition
	n.Add(c, "FILE")
	c.RunE = func(c *cobra.Command, args []string) error {
		in, err := openLUKS(c.Context(), g, args[0], n, "", luks.OpenOptions{})
		if err != nil {
			return err
		}
		defer in.close()
		return read(c, args, in)
	}
	return c
}

// group makes c a verb with subcommands.
func group(c *cobra.Command, verbs ...*cobra.Command) *cobra.Command {
	c.Args = cobra.NoArgs
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	c.AddCommand(verbs...)
	return c
}

// write creates a file with this name and commits what the callback writes to it.
func write(name string, perm os.FileMode, force bool, write func(f *output.File) error) error {
	f, err := output.Create(name, perm, force)
	if err != nil {
		return err
	}
	defer f.Abort()
	if err := write(f); err != nil {
		return err
	}
	return f.Commit()
}
