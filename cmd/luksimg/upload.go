package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/wrap"
)

// uploadSuffix is what goes after the name of a file for that of the state of its upload.
const uploadSuffix = ".upload.json"

type uploadFlags struct {
	*global
	progress talk.Progress
	audit    auditFlags
	envelope string
	partSize flags.Size
	jobs     int
	resume   bool
	state    string
	abort    bool
	force    bool
}

func newUpload(g *global) *cobra.Command {
	o := &uploadFlags{global: g}
	c := &cobra.Command{
		Use:   "upload FILE cos://REGION/BUCKET/OBJECT",
		Short: "Upload an image to IBM Cloud Object Storage",
		Long: `Upload sends FILE to Object Storage in parallel parts. The object appears when it is whole,
and its size and ETag are those of what was sent. The bucket must be a regional one, as the
import of images asks for.

How far it came is kept in FILE` + uploadSuffix + `. When an upload is interrupted the exit code is
5, and the same command goes on where it stopped; --abort gives it up instead, so that the
service keeps nothing of it. Before there is anything to go on with, and for a file that goes
in one piece, an interruption is exit code 130, and other failures are 1. With - for FILE,
--abort gives up all unfinished uploads of the object, whoever began them: what an encrypt
that was killed has left.

With --envelope the envelope of the image is stored beside it, as OBJECT` + envelopeSuffix + `, if
it goes with the image and the bucket is in the region of its root key. It holds no secret.` + cosHelp,
		Example: `  luksimg upload disk.raw cos://us-south/images/disk.raw
  luksimg upload --envelope disk.raw.envelope.json disk.raw cos://us-south/images/disk.raw
  luksimg upload --abort disk.raw cos://us-south/images/disk.raw
  luksimg upload --abort - cos://us-south/images/disk.raw`,
		Args: flags.Args("FILE", "cos://REGION/BUCKET/OBJECT"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0], args[1]) },
	}
	f := c.Flags()
	f.StringVar(&o.envelope, "envelope", "", "`FILE` with the wrapped key of the image, to store beside it")
	f.Var(&o.partSize, "part-size", "size of the parts, 5M to 5G; k, M, G are powers of 1024 (default: by the size of the file)")
	f.Lookup("part-size").DefValue = ""
	f.IntVar(&o.jobs, "jobs", 0, "number of parts sent at a time (default: 4)")
	f.BoolVar(&o.resume, "resume", true, "keep what was sent if the upload is interrupted, and go on with it")
	f.StringVar(&o.state, "state", "", "keep how far it came in this `FILE` (default: FILE"+uploadSuffix+")")
	f.BoolVar(&o.abort, "abort", false, "give up an upload that was interrupted")
	f.BoolVar(&o.force, "force", false, "replace the object if it is there")
	o.progress.Add(c)
	o.audit.add(c)
	g.cloud.add(c, serviceCOS)
	return c
}

// uploadResult is what upload --json prints.
type uploadResult struct {
	Object   string   `json:"object"`
	Size     int64    `json:"size"`
	ETag     string   `json:"etag"`
	Parts    int      `json:"parts"`              // 0 if it went in one piece
	Resumed  int      `json:"resumed_parts"`      // that an earlier run had sent
	Envelope string   `json:"envelope,omitempty"` // its object
	Warnings []string `json:"warnings,omitempty"`
}

func (o *uploadFlags) run(c *cobra.Command, name, uri string) error {
	ctx, t := c.Context(), &o.Talk
	at, err := cos.ParseURI(uri)
	if err != nil {
		return err
	}
	if isCOS(name) || name == "-" && !o.abort {
		return rest.WithHint(errors.New("upload sends a file"), "luksimg encrypt writes to cos:// itself, also from standard input")
	}
	client, err := o.cloud.cos(ctx, "")
	if err != nil {
		return err
	}
	state := cos.StateFile(o.state)
	if state == "" {
		state = cos.StateFile(name + uploadSuffix)
	}
	if o.abort && name == "-" {
		return o.giveUpAll(ctx, t, client, at)
	}
	if o.abort {
		return o.giveUp(ctx, t, client, at, state)
	}
	if err := o.files.Write("--state", string(state)); err != nil {
		return err
	}
	in, err := openInputFlags(ctx, name, 0)
	if err != nil {
		return err
	}
	defer in.close()
	var keyRegion string
	var envelope []byte
	if o.envelope != "" {
		if envelope, keyRegion, err = imageEnvelope(ctx, o.envelope, in); err != nil {
			return err
		}
	}
	if err := checkBucket(ctx, t, client, at, keyRegion); err != nil {
		return err
	}
	if before, err := state.Load(); err != nil {
		return err
	} else if before != nil && o.resume {
		t.Say("going on with the upload of %s", state)
	} else if err := checkFree(ctx, client, at, o.force); err != nil {
		return err
	}
	log, err := o.audit.open("")
	if err != nil {
		return err
	}
	defer log.close()
	p, err := o.progress.Start(t, "upload", in.size)
	if err != nil {
		return err
	}
	opts := cos.UploadOptions{PartSize: o.partSize.N, Jobs: o.jobs, Progress: p.Add}
	if o.resume {
		opts.State = state
	}
	r, err := client.Upload(ctx, at, in.r, in.size, opts)
	p.Done()
	if err := log.Did(audit.ActionUpload, at.String(), map[string]any{"size": in.size}, err); err != nil {
		return resumable(err, opts.State, "--abort gives the upload up")
	}
	if err := in.unchanged(); err != nil {
		return rest.WithHint(err, "the object may be a mix of both: upload it again with --force")
	}
	result := uploadResult{Object: at.String(), Size: r.Size, ETag: r.ETag, Parts: r.Parts, Resumed: r.Found, Warnings: t.Warnings}
	if envelope != nil {
		beside := at
		beside.Key += envelopeSuffix
		if _, err := client.Upload(ctx, beside, bytes.NewReader(envelope), int64(len(envelope)), cos.UploadOptions{}); err != nil {
			return fmt.Errorf("the image was uploaded, its envelope not: %w", err)
		}
		result.Envelope = beside.String()
	}
	return t.Result(result, talk.Line("%s: %s, ETag %s", at, term.Bytes(r.Size), r.ETag))
}

func (o *uploadFlags) giveUp(ctx context.Context, t *talk.Talk, client *cos.Client, at cos.Object, state cos.StateFile) error {
	b, err := state.Load()
	if err != nil {
		return err
	}
	if b == nil {
		return rest.WithHint(fmt.Errorf("%s: there is no upload to give up", state), "--state names the file that tells of it")
	}
	if err := client.AbortUpload(ctx, state); err != nil {
		return err
	}
	return t.Result(abortResult{at.String(), 1}, talk.Line("%s: the upload was given up", at))
}

// giveUpAll gives up what anybody has begun to upload to an object.
func (o *uploadFlags) giveUpAll(ctx context.Context, t *talk.Talk, client *cos.Client, at cos.Object) error {
	ids, err := unfinished(ctx, client, at)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := client.Abort(ctx, at, id); err != nil {
			return err
		}
	}
	return t.Result(abortResult{at.String(), len(ids)}, talk.Line("%s: %d uploads were given up", at, len(ids)))
}

// abortResult is what upload --abort --json prints.
type abortResult struct {
	Object  string `json:"object"`
	Aborted int    `json:"aborted_uploads"`
}

// imageEnvelope reads the envelope of an image, and tells the region of its root key.
func imageEnvelope(ctx context.Context, name string, in *input) (text []byte, region string, err error) {
	e, err := readEnvelope(ctx, name)
	if err != nil {
		return nil, "", err
	}
	if uuid := headerUUID(in); e.ImageUUID != "" && uuid != "" && uuid != e.ImageUUID {
		return nil, "", rest.WithHint(fmt.Errorf("%s is the envelope of the image with UUID %s, and %s has %s", name, e.ImageUUID, in.name, uuid),
			"name the envelope of this image")
	}
	var b bytes.Buffer
	if err := e.Write(&b); err != nil {
		return nil, "", err
	}
	if e.Convention == wrap.None || e.RootKeyCRN == "" {
		return b.Bytes(), "", nil // for no cloud
	}
	key, err := crn.ParseRootKey(e.RootKeyCRN)
	return b.Bytes(), key.Region, err
}

// resumable returns the error of a transfer that can go on, if its state was kept and a
// service did not refuse it.
func resumable(err error, state cos.StateStore, giveUp string) error {
	if state == nil || errors.Is(err, cos.ErrChecksum) {
		return err
	}
	if b, e := state.Load(); e != nil || b == nil {
		return err
	}
	if errors.Is(err, cos.ErrChanged) {
		return rest.WithHint(err, giveUp)
	}
	if code := exit.Code(err); code != exit.Failure && code != exit.Cancelled {
		return err
	}
	return exit.GoesOn(rest.WithHint(err, "the same command goes on where it stopped; "+giveUp))
}
