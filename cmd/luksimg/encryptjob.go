package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/compressed"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/wrap"
)

// An encryptJob is one run of encrypt: the disk, the keys, and the output files. The output files appear under their
// names only when all are complete.
type encryptJob struct {
	o    *encryptFlags
	t    *talk.Talk
	dst  string
	opts luksimg.EncryptOptions

	root   *wrap.RootKey // nil unless it wraps the key
	source *diskSource
	out    *destination
	key    []byte

	// Nil unless a flag asks for them.
	header, manifest, newKey *output.File
}

// close removes unfinished files and wipes the keys.
func (j *encryptJob) close() {
	for _, f := range []*output.File{j.header, j.manifest, j.newKey} {
		if f != nil {
			f.Abort()
		}
	}
	if j.out != nil {
		j.out.abort()
	}
	if j.source != nil {
		j.source.close()
	}
	clear(j.key)
	clear(j.opts.LUKS.VolumeKey)
}

// open opens the disk and creates all outputs except the key file.
func (j *encryptJob) open(c *cobra.Command, src string) (err error) {
	ctx := c.Context()
	if j.o.root.given() {
		if j.root, err = j.o.root.open(ctx); err != nil {
			return err
		}
	}
	if j.source, err = j.o.disk(c, src); err != nil {
		return err
	}
	if j.source.disk() != nil {
		if err := j.opts.CheckSize(j.source.size); err != nil {
			return err
		}
	}
	if j.o.profile != "" {
		if err := j.o.checkCloud(j.t, j.dst, j.source.size); err != nil {
			return err
		}
		j.source.inside(ctx, j.t)
	}
	if j.o.header != "" {
		if j.header, err = output.Create(j.o.header, 0o600, false); err != nil {
			return exit.HintKept(fmt.Errorf("header: %w", err), "a header is never replaced, not even with --force: choose another name")
		}
		j.opts.Header = j.header
	}
	if j.out, err = j.o.destination(ctx, j.t, j.dst, j.source, j.opts); err != nil {
		return err
	}
	if j.o.manifestFile != "" {
		j.manifest, err = output.Create(j.o.manifestFile, 0o666, j.o.force)
	}
	return err
}

// keys reads or generates the keys. It also measures the cost of the key derivation if a flag asks for that.
func (j *encryptJob) keys(ctx context.Context) (err error) {
	if j.newKey, j.key, err = j.o.readKey(ctx, j.t, j.dst); err != nil {
		return err
	}
	if j.o.volumeKeyFile != "" {
		if j.opts.LUKS.VolumeKey, err = keys.ReadFile(ctx, j.o.volumeKeyFile); err != nil {
			return err
		}
	}
	if j.root != nil {
		if err := j.o.sealInto(ctx, j.root, j.key, &j.opts.LUKS); err != nil {
			return err
		}
	}
	j.opts.LUKS.KDF, err = j.o.luks.kdf.measure(ctx, j.opts.LUKS.KDF, j.opts.Calibrate)
	return err
}

// encrypt encrypts the disk. The output has no name until finish.
func (j *encryptJob) encrypt(ctx context.Context) (r *luksimg.Result, err error) {
	p, err := j.o.progress.Start(j.t, "encrypt", j.source.size)
	if err != nil {
		return nil, err
	}
	j.opts.Progress = p.Add
	r, err = j.run(ctx)
	p.Done()
	err = j.source.seeking(err)
	if errors.Is(err, compressed.ErrCorrupt) || errors.Is(err, compressed.ErrTooLarge) || errors.Is(err, luksimg.ErrFixedVHD) {
		err = j.source.wrap(err)
	}
	err = j.source.remote(err)
	if err == nil {
		err = errors.Join(j.source.intact(ctx), j.out.check(r))
	}
	if err != nil {
		return nil, err
	}
	j.source.label(j.t, r)
	return r, nil
}

// run calls the encryption function that suits the source and the destination.
func (j *encryptJob) run(ctx context.Context) (r *luksimg.Result, err error) {
	disk := j.source.disk()
	if disk != nil && j.out.at != nil {
		if !j.opts.Digest && !isCOS(j.dst) {
			flags.SpareProcessor()
		}
		return luksimg.Encrypt(ctx, j.out.at, disk, j.key, j.opts)
	}
	// A goroutine that blocks on a pipe cannot be stopped. After a cancellation it lives until the process exits.
	err = parallel.Await(ctx, func() (err error) {
		if disk != nil {
			r, err = luksimg.EncryptInOrder(ctx, j.out.stream, disk, j.key, j.opts)
		} else {
			r, err = luksimg.EncryptStream(ctx, j.out.stream, j.source.stream, j.key, j.opts)
		}
		return err
	})
	return r, err
}

// finish verifies the result if a flag asks for that, and gives all outputs their names.
func (j *encryptJob) finish(ctx context.Context, r *luksimg.Result) error {
	if !j.out.late {
		if err := j.compare(ctx, r); err != nil {
			return err
		}
	}
	if j.manifest != nil {
		if err := j.o.manifestOf(j.dst, j.source, r, j.key).Write(j.manifest); err != nil {
			return err
		}
	}
	// Commit the key and the header first: an image without them is useless.
	if err := output.CommitAll(j.newKey, j.header); err != nil {
		return err
	}
	if err := j.commitImage(ctx, r); err != nil {
		output.RemoveAll(j.newKey, j.header)
		return err
	}
	if j.newKey != nil {
		j.t.Say("key: written to %s", j.o.generateKey)
	}
	return nil
}

// commitImage gives the image its name, and then the manifest. If it fails, neither file remains.
func (j *encryptJob) commitImage(ctx context.Context, r *luksimg.Result) error {
	if err := j.out.commit(); err != nil {
		return err
	}
	var err error
	if j.out.late {
		err = j.compare(ctx, r)
	}
	if err == nil {
		err = output.CommitAll(j.manifest)
	}
	if err != nil {
		err = errors.Join(err, j.out.remove())
	}
	return err
}
