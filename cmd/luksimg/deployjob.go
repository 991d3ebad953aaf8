package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/ibm/deploy"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/shard"
	"github.com/luksimg/luksimg/wrap"
)

// finished sets the profile, the object and the root key of a deployment from the job of a finished image. It returns
// the source of that image.
func (o *deployFlags) finished(c *cobra.Command) (name string, _ *deploy.Source, err error) {
	for _, f := range []string{"profile", "object", "root-key-crn", "key-file", "keep-key", "image"} {
		if c.Flags().Changed(f) {
			err = errors.Join(err, flags.AtMostOne(c, "job", f))
		}
	}
	if err != nil {
		return "", nil, err
	}
	ctx := c.Context()
	j, err := o.readJob(ctx, o.job)
	if err != nil {
		return "", nil, err
	}
	switch {
	case !isCOS(j.Destination):
		return "", nil, rest.WithHint(fmt.Errorf("%s: the image of the job is a file", o.job), "upload it with luksimg upload, and import the object with luksimg import")
	case !j.Image.Encrypted():
		return "", nil, rest.WithHint(fmt.Errorf("%s: the image of the job is not encrypted", o.job), "import the object with luksimg import, or plan the job with --profile and --root-key-crn")
	case j.Image.Profile == "" || j.Envelope == nil:
		return "", nil, rest.WithHint(fmt.Errorf("%s: the job has no profile or no wrapped key", o.job), "plan the job with --profile and --root-key-crn")
	}
	e, err := wrap.ReadEnvelope(bytes.NewReader(j.Envelope))
	if err != nil {
		return "", nil, err
	}
	o.Plan.Profile, o.Plan.Object, o.Plan.RootKeyCRN = string(j.Image.Profile), j.Destination, e.RootKeyCRN
	o.Finished = &deploy.Finished{Envelope: e, ImageUUID: e.ImageUUID, Size: j.Image.FileSize, Is: func(ctx context.Context) (bool, error) { return o.isImage(ctx, j) }}
	s := j.Source.Stamp
	return j.Source.Name, &deploy.Source{Name: j.Source.Name, Stat: func(context.Context) (deploy.Stamp, error) {
		return deploy.Stamp{Size: s.Size, Time: s.Time, ETag: s.ETag}, nil
	}}, nil
}

// isImage reports whether the object that a job names is the finished image.
func (o *deployFlags) isImage(ctx context.Context, j *shard.Job) (bool, error) {
	t, err := o.target(ctx, j.Destination, j.Replace, !j.Image.Encrypted())
	if err != nil {
		return false, err
	}
	f, err := t.Open(ctx)
	if err != nil {
		return false, err
	}
	defer f.Close()
	return j.Image.Is(f)
}
