package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
)

// decryptStream is decrypt for a source that can only be read in order. If out is nil it writes to standard output.
func (o *convertFlags) decryptStream(c *cobra.Command, t *talk.Talk, src, dst string, out *output.File) error {
	ctx, name := c.Context(), stdio.Name(src)
	switch {
	case o.format != "raw":
		return rest.WithHint(fmt.Errorf("a %s image cannot be made from a stream: writing it needs seeking", o.format), "make a raw disk, and convert that")
	case o.source.snapshot != "" || o.source.allowBacking || o.source.unlock.partition != 0:
		return errors.New("--snapshot, --allow-backing and --partition need a SRC that can seek, not a stream")
	case stdio.IsStdin(src) && o.source.unlock.key.Stdin():
		return errors.New("standard input cannot be both the image and the key")
	}
	opts := luksimg.DecryptStreamOptions{LUKS: o.kdf.apply(o.source.unlock.openOptions())}
	if h := o.source.unlock.header; h != "" {
		in, err := openHeader(ctx, o.global, h)
		if err != nil {
			return err
		}
		defer in.close()
		if opts.Header, err = luks.Open(in.r, in.size, opts.LUKS); err != nil {
			return in.wrap(err)
		}
	}
	f, err := stdio.OpenStream(ctx, src)
	if err != nil {
		return err
	}
	defer f.Close()
	in := &input{name: name}
	summed, err := o.source.sum.stream(ctx, o.global, in, f)
	if err != nil {
		return err
	}
	var p *term.Progress
	opts.VolumeKey = func(ctx context.Context, h *luks.Header) ([]byte, error) {
		for _, w := range h.Info().Warnings {
			t.Warn("%s: %s", name, w)
		}
		key, err := o.source.unlock.volumeKey(c, o.global, name, h)
		if err == nil {
			p, err = o.progress.Start(t, o.phase, h.DataSize())
		}
		return key, err
	}
	opts.Jobs, opts.Progress = int(o.jobs), func(n int64) { p.Add(n) }
	var w io.Writer = os.Stdout
	if out == nil {
		stdio.Widen(os.Stdout)
	} else {
		w = output.NewSparse(out)
	}
	var r *luksimg.StreamResult
	err = parallel.Await(ctx, func() (err error) {
		r, err = luksimg.DecryptStream(ctx, w, summed, nil, opts)
		if err == nil {
			err = in.unchanged()
		}
		return err
	})
	if ctx.Err() == nil && p != nil { // after a cancellation the job can still be running
		p.Done()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if out == nil {
		return stdio.SyncStdout()
	}
	if err := out.Truncate(r.Size); err != nil {
		return err
	}
	if err := out.Commit(); err != nil {
		return err
	}
	return t.Result(convertResult{
		Output: dst, Format: o.format, SourceFormat: fmt.Sprintf("luks%d", r.Header.Version()),
		FileSize: r.Size, UUID: r.Header.UUID(), SourceSum: o.source.sum.published(), Warnings: t.Warnings,
	}, talk.Line("%s: %s disk of %s", dst, o.format, term.Bytes(r.Size)))
}
