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

// An encryptJob is one run of encrypt: the disk, the keys, and the files that it makes. They
// appear under their names when all of them are whole.
type encryptJob struct {
	o    *encryptFlags
	t    *talk.Talk
	dst  string
	opts luksimg.EncryptOptions

	root   *wrap.RootKey // nil unless one is to wrap the key
	source *diskSource
	out    *destination
	key    []byte

	// These are nil unless a flag asks for them.
	header, manifest, newKey *output.File
}

// close removes what was not finished, and forgets the keys.
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

// open opens the disk, and begins all outputs but the key.
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
			return exit.HintKept(fmt.Errorf("header: %w", err), "a header is never replaced, with --force neither: choose another name")
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

// keys reads or makes the keys, and measures what deriving one costs if that is asked for.
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

// encrypt does the work. What it wrote has no name yet.
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

// run does the work in the way that suits what it reads and writes.
func (j *encryptJob) run(ctx context.Context) (r *luksimg.Result, err error) {
	disk := j.source.disk()
	if disk != nil && j.out.at != nil {
		if !j.opts.Digest && !isCOS(j.dst) {
			flags.SpareProcessor()
		}
		return luksimg.Encrypt(ctx, j.out.at, disk, j.key, j.opts)
	}
	// What waits for a pipe can not be stopped: when the job is cancelled it goes on until
	// the process ends.
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

// finish has the result verified, if that is asked for, and gives all outputs their names.
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
	// The key first: an image whose key, or header, is lost is of no use to anybody.
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

// commitImage gives the image its name, and then the manifest. If it fails, neither is there.
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
