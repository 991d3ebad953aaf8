package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/shard"
)

func newShard(g *global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "shard",
		Short: "Make one image on many machines",
		Long: `Shard lets many machines make one encrypted image, or one fixed VHD. Each machine makes a part of it, a shard.

  plan     reads the metadata of the disk, and writes the file JOB, which holds no secret
  run      makes one shard, on each machine
  finish   checks that all shards exist, and completes the image, on any machine

All machines must reach the image: on a shared filesystem, or in Object Storage. It has the same bytes
as one that encrypt writes with the same header, or convert. Shard is not a scheduler: an engine such as Slurm or
Kubernetes runs it as an array of tasks. See docs/shard.md.`,
		Example: `  luksimg shard plan --key-file dek.b64 --shards 16 cos://us-south/disks/web.qcow2 cos://us-south/images/web.luks web.job
  luksimg shard run --key-file dek.b64 --shard 3/16 web.job
  luksimg shard status web.job
  luksimg shard finish web.job`,
	}, newShardPlan(g), newShardRun(g), newShardFinish(g), newShardStatus(g), newShardAbort(g))
}

// readJob reads a job from a file, an object, or standard input for "-".
func (g *global) readJob(ctx context.Context, name string) (*shard.Job, error) {
	if !isRemote(name) {
		return stdio.Parse(ctx, name, shard.Parse)
	}
	in, err := openInput(ctx, g, name)
	if err != nil {
		return nil, err
	}
	defer in.close()
	j, err := shard.Parse(io.NewSectionReader(in.r, 0, in.size))
	return j, in.wrap(err)
}

// A jobOutput is the destination of a job.
type jobOutput struct {
	f      *output.File // nil for an object
	client *cos.Client
	at     cos.Object
}

// jobOutput opens the destination of a job. Without force its name must not exist.
func (g *global) jobOutput(ctx context.Context, name string, force bool) (o jobOutput, err error) {
	if !isCOS(name) {
		if o.f, err = output.Create(name, 0o600, force); err != nil {
			err = hintJob(fmt.Errorf("job: %w", err))
		}
		return o, err
	}
	if o.at, o.client, err = g.cloud.object(ctx, name); err != nil {
		return o, err
	}
	if err := g.checkPlace(ctx, o.client, o.at, cos.PlaceOptions{Replace: force}); err != nil {
		return o, hintJob(fmt.Errorf("job: %w", err))
	}
	return o, nil
}

// hintJob adds a hint to the error for a job that exists.
func hintJob(err error) error {
	return exit.HintKept(err, "luksimg shard status JOB shows the progress of the job, and shard run continues it; shard abort JOB removes a job that is no longer needed; --force discards its unfinished image")
}

func (o jobOutput) abort() {
	if o.f != nil {
		o.f.Abort()
	}
}

// reserve writes the job, which has no UploadID yet, to make sure that it fits on the disk.
func (o jobOutput) reserve(j *shard.Job) error {
	if o.f == nil {
		return nil
	}
	draft := *j
	draft.UploadID = strings.Repeat("0", shard.MaxUploadID)
	return errors.Join(draft.Write(o.f), o.f.Sync())
}

// commit writes the job.
func (o jobOutput) commit(ctx context.Context, j *shard.Job) error {
	if o.f != nil {
		return o.commitFile(j)
	}
	var b bytes.Buffer
	if err := j.Write(&b); err != nil {
		return err
	}
	_, err := o.client.Upload(ctx, o.at, bytes.NewReader(b.Bytes()), int64(b.Len()), cos.UploadOptions{})
	return err
}

// commitFile overwrites what reserve has written with the job.
func (o jobOutput) commitFile(j *shard.Job) error {
	if _, err := o.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := j.Write(o.f); err != nil {
		return err
	}
	n, err := o.f.Seek(0, io.SeekCurrent)
	if err == nil {
		err = o.f.Truncate(n)
	}
	if err != nil {
		return err
	}
	return o.f.Commit()
}

// removeJob removes a job file or object.
func (g *global) removeJob(ctx context.Context, name string) error {
	if !isCOS(name) {
		return output.Remove(name)
	}
	at, client, err := g.cloud.object(ctx, name)
	if err != nil {
		return err
	}
	return client.Delete(ctx, at)
}

// target returns the target of a job. A file with an unencrypted image gets a mode that only its owner can read.
func (g *global) target(ctx context.Context, name string, replace, plain bool) (shard.Target, error) {
	if isCOS(name) {
		at, client, err := g.cloud.object(ctx, name)
		if err != nil {
			return nil, err
		}
		return objectTarget{client, at}, nil
	}
	if isRemote(name) || !filepath.IsAbs(name) {
		return nil, fmt.Errorf("%w: the destination %.200q is neither an absolute path nor an object", shard.ErrJob, name)
	}
	return shard.File{Name: name, Replace: replace, Private: plain}, nil
}

// claimFolder registers the folder of the unfinished image dst.
func (g *global) claimFolder(dst string) error {
	return g.files.Folder("the folder where the image is made", dst+shard.FolderSuffix)
}

// openJob reads a job, registers its image, and returns its target.
func (g *global) openJob(ctx context.Context, name string) (*shard.Job, shard.Target, error) {
	j, err := g.readJob(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(g.readSource("the source of the job", j.Source.Name), g.files.Replace("the image of the job", j.Destination), g.claimFolder(j.Destination)); err != nil {
		return nil, nil, err
	}
	t, err := g.target(ctx, j.Destination, j.Replace, !j.Image.Encrypted())
	return j, t, err
}
