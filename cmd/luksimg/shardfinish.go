package main

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/manifest"
	"github.com/luksimg/luksimg/shard"
	"github.com/luksimg/luksimg/wrap"
)

type shardFinishFlags struct {
	*global
	progress     talk.Progress
	verify       bool
	manifestFile string
	envelope     string
	force        bool
}

func newShardFinish(g *global) *cobra.Command {
	o := &shardFinishFlags{global: g}
	c := &cobra.Command{
		Use:   "finish JOB",
		Short: "Complete an image from its shards",
		Long: `Finish checks that all parts of the image exist as the shards made them. Then it gives the image its name, by
renaming a file or by completing the upload of an object. It reads samples of the image back, or with --verify
the whole image, and compares them with the checksums of the parts. If they differ, no image remains, and the
exit code is 3. luksimg verify compares the image with SRC.

If shards are missing, finish names them, and the exit code is 5: run them, and finish again. It is also 5 if
finish is interrupted. Finishing an image again is not an error. JOB stays until shard abort removes it. Finish
needs no key.` + cosHelp,
		Example: `  luksimg shard finish web.job
  luksimg shard finish --verify --manifest web.luks` + manifest.Suffix + ` web.job`,
		Args: flags.Args("JOB"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0]) },
	}
	f := c.Flags()
	f.BoolVar(&o.verify, "verify", false, "read the whole image back, and compare it with the checksums of its parts")
	f.StringVar(&o.manifestFile, "manifest", "", "write a description of the image and its source to `FILE` as JSON; inspect finds it as DST"+manifest.Suffix)
	f.StringVar(&o.envelope, "envelope", "", "write the wrapped key of the job to `FILE`, as an envelope")
	f.BoolVar(&o.force, "force", false, "replace the manifest and the envelope if they exist")
	o.progress.Add(c)
	g.web.add(c)
	g.cloud.add(c, serviceCOS)
	return c
}

// shardFinishResult is the output of shard finish --json.
type shardFinishResult struct {
	Output     string     `json:"output"`
	ID         string     `json:"id"` // of the job
	Format     string     `json:"format"`
	Profile    string     `json:"profile,omitempty"`
	Fixed      bool       `json:"fixed,omitempty"` // a fixed VHD that is not encrypted
	SourceSize int64      `json:"source_size"`
	VolumeSize int64      `json:"volume_size"`
	FileSize   int64      `json:"file_size"`
	Parts      int        `json:"parts"`
	Shards     int        `json:"shards"`
	Already    bool       `json:"already_finished"`
	ReadBack   int64      `json:"read_back"` // bytes that were read back and compared
	Verified   bool       `json:"verified"`  // whether the whole image was read back
	Manifest   string     `json:"manifest,omitempty"`
	Envelope   string     `json:"envelope,omitempty"`
	LUKS       *luks.Info `json:"luks,omitempty"`
	Warnings   []string   `json:"warnings,omitempty"`
}

func (o *shardFinishFlags) run(c *cobra.Command, name string) (err error) {
	ctx := c.Context()
	defer func() { err = interruptedShard(ctx, err) }()
	j, target, err := o.openJob(ctx, name)
	if err != nil {
		return err
	}
	made, err := j.Image.Result()
	if err != nil {
		return err
	}
	m, e, err := o.besides(j)
	if err != nil {
		return err
	}
	defer abortAll(m, e)
	total := int64(0)
	if o.verify {
		total = j.Image.FileSize
	}
	p, err := o.progress.Start(&o.Talk, "verify", total)
	if err != nil {
		return err
	}
	r, err := j.Finish(ctx, target, shard.FinishOptions{Verify: o.verify, Progress: p.Add})
	p.Done()
	if err != nil {
		return err
	}
	if err := output.CommitAll(m, e); err != nil {
		return fmt.Errorf("the image is finished, but: %w", err)
	}
	if r.Already && o.verify {
		o.Warn("%s: the image was finished before, and its records are gone, so --verify read nothing: compare it with luksimg verify", j.Destination)
	}
	return o.Result(shardFinishResult{
		Output: j.Destination, ID: j.ID, Format: string(made.Format), Profile: string(j.Image.Profile), Fixed: !j.Image.Encrypted(),
		SourceSize: made.SourceSize, VolumeSize: made.VolumeSize, FileSize: made.FileSize, Parts: r.Parts, Shards: j.Shards,
		Already: r.Already, ReadBack: r.Read, Verified: r.Read == r.Size, Manifest: o.manifestFile, Envelope: o.envelope, LUKS: luksInfo(made), Warnings: o.Warnings,
	}, madeLine(j.Destination, made)+"\n"+talk.Line("%s: made of %s by %s; %s read back", j.Destination, term.Count(r.Parts, "part", "parts"), term.Count(j.Shards, "shard", "shards"), term.Bytes(r.Read)))
}

// besides creates the manifest and the envelope that the flags ask for.
func (o *shardFinishFlags) besides(j *shard.Job) (m, e *output.File, err error) {
	if o.manifestFile != "" && j.Manifest == nil {
		err = errors.New("--manifest: the image of the job is not encrypted, so it has no manifest")
	} else if o.manifestFile != "" {
		if m, err = output.Create(o.manifestFile, 0o666, o.force); err == nil {
			err = j.Manifest.Write(m)
		}
	}
	if err == nil && o.envelope != "" {
		var envelope *wrap.Envelope
		if j.Envelope == nil {
			err = errors.New("--envelope: the job has no wrapped key: it was planned without --kms")
		} else if envelope, err = wrap.ReadEnvelope(bytes.NewReader(j.Envelope)); err == nil {
			if e, err = output.Create(o.envelope, 0o666, o.force); err == nil {
				err = envelope.Write(e)
			}
		}
	}
	if err != nil {
		abortAll(m, e)
	}
	return m, e, err
}

func abortAll(files ...*output.File) {
	for _, f := range files {
		if f != nil {
			f.Abort()
		}
	}
}

func newShardStatus(g *global) *cobra.Command {
	c := &cobra.Command{
		Use:   "status JOB",
		Short: "Show the progress of the shards of an image",
		Long: `Status shows the state of each shard: waiting, partial, done, replaced if a part differs from the one that the
shard made, damaged if its record cannot be read, or finished with the whole image.` + cosHelp,
		Example: "  luksimg shard status web.job",
		Args:    flags.Args("JOB"),
		RunE: func(c *cobra.Command, args []string) error {
			j, target, err := g.openJob(c.Context(), args[0])
			if err != nil {
				return err
			}
			all, err := j.Status(c.Context(), target)
			if err != nil {
				return err
			}
			r := shardStatusResult{Job: args[0], ID: j.ID, Destination: j.Destination, Shards: all}
			text := talk.NewTable()
			for _, s := range all {
				text.Row(fmt.Sprintf("shard %d", s.Shard), "%-8s  %d of %s, %s", s.State, s.Done, term.Count(s.Parts, "part", "parts"), term.Bytes(s.Size))
				if s.Done == s.Parts && s.State != shard.Replaced && s.State != shard.Damaged {
					r.Done++
				}
			}
			return g.Result(r, text.Text(""))
		},
	}
	g.cloud.add(c, serviceCOS)
	return c
}

// shardStatusResult is the output of shard status --json.
type shardStatusResult struct {
	Job         string         `json:"job"`
	ID          string         `json:"id"`
	Destination string         `json:"destination"`
	Done        int            `json:"done"` // shards
	Shards      []shard.Status `json:"shards"`
}

func newShardAbort(g *global) *cobra.Command {
	c := &cobra.Command{
		Use:     "abort JOB",
		Short:   "Remove an unfinished image and its job",
		Long:    `Abort removes the unfinished image of a job, its records, and JOB. A finished image stays.` + cosHelp,
		Example: "  luksimg shard abort web.job",
		Args:    flags.Args("JOB"),
		RunE: func(c *cobra.Command, args []string) error {
			j, target, err := g.openJob(c.Context(), args[0])
			if err != nil {
				return err
			}
			if err := j.Abort(c.Context(), target); err != nil {
				return err
			}
			if err := g.removeJob(c.Context(), args[0]); err != nil {
				return err
			}
			return g.Result(shardAbortResult{args[0], j.ID, j.Destination}, talk.Line("%s: aborted", args[0]))
		},
	}
	g.cloud.add(c, serviceCOS)
	return c
}

// shardAbortResult is the output of shard abort --json.
type shardAbortResult struct {
	Job         string `json:"job"`
	ID          string `json:"id"`
	Destination string `json:"destination"`
}
