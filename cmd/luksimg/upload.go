package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/wrap"
)

// uploadSuffix, after the name of a file, is the default name of the state of its upload.
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
		Long: `Upload sends FILE to Object Storage in parallel parts. The object appears when it is complete and its
size and ETag match. In some encrypted buckets an ETag is not an MD5 sum. There, upload compares the
service's checksums, or reads the object again.

The bucket must be regional, because imports need that. Upload refuses a cross-region or single-site
bucket, a file of more than 10 TB, and more than 10,000 parts, before it sends anything.

Upload keeps its progress in FILE` + uploadSuffix + `. If an upload is interrupted, the exit code is 5: run
the same command again to resume. --abort removes the upload from the service instead. The exit code is 130
if the upload is interrupted before the first part is saved, or if the file is sent in one piece. With - for
FILE, --abort removes all unfinished uploads of the object, including those of other programs and of an
encrypt that was killed.

With --envelope, upload stores the envelope of the image beside it, as OBJECT` + envelopeSuffix + `. The
envelope must be that of the image, and the bucket must be in the region of its root key. The envelope holds no
secret.` + cosHelp,
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
	f.BoolVar(&o.resume, "resume", true, "keep the parts of an interrupted upload, and continue it")
	f.StringVar(&o.state, "state", "", "keep the progress in this `FILE` (default: FILE"+uploadSuffix+")")
	f.BoolVar(&o.abort, "abort", false, "abort an interrupted upload")
	f.BoolVar(&o.force, "force", false, "replace the object if it exists")
	o.progress.Add(c)
	o.audit.add(c)
	g.cloud.add(c, serviceCOS)
	return c
}

// uploadResult is the output of upload --json.
type uploadResult struct {
	Object   string   `json:"object"`
	Size     int64    `json:"size"`
	ETag     string   `json:"etag"`
	Parts    int      `json:"parts"`              // 0 if the file was sent in one piece
	Resumed  int      `json:"resumed_parts"`      // parts that an earlier run had sent
	Verified bool     `json:"verified"`           // whether more than the size was compared with the service's copy
	Envelope string   `json:"envelope,omitempty"` // the object of the envelope
	Warnings []string `json:"warnings,omitempty"`
}

func (o *uploadFlags) run(c *cobra.Command, name, uri string) error {
	ctx := c.Context()
	at, client, err := o.cloud.object(ctx, uri)
	if isRemote(name) || name == "-" && !o.abort {
		return rest.WithHint(errors.New("upload sends a file"), "luksimg encrypt writes to cos:// itself, also from standard input")
	}
	if err != nil {
		return err
	}
	state := cos.StateFile(cmp.Or(o.state, name+uploadSuffix))
	if o.abort {
		return o.giveUp(ctx, client, at, name, state)
	}
	if err := errors.Join(o.files.Write("--state", string(state)), o.progress.Check()); err != nil {
		return err
	}
	in, err := openInputFlags(ctx, name, 0)
	if err != nil {
		return err
	}
	defer in.close()
	envelope, keyRegion, err := o.readEnvelope(ctx, in)
	if err != nil {
		return err
	}
	before, err := state.Load()
	if err != nil {
		return err
	}
	goesOn := before != nil && o.resume
	if goesOn {
		o.Say("continuing the upload in %s", state)
	}
	if err := o.checkPlace(ctx, client, at, cos.PlaceOptions{KeyRegion: keyRegion, Replace: o.force || goesOn, Size: in.size, PartSize: o.partSize.N}); err != nil {
		return err
	}
	log, err := o.audit.open("")
	if err != nil {
		return err
	}
	defer log.Close()
	p, err := o.progress.Start(&o.Talk, "upload", in.size)
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
		return cos.Interrupted(err, opts.State, "--abort removes the upload")
	}
	if err := in.unchanged(); err != nil {
		return rest.WithHint(err, "the object may be a mix of both: upload it again with --force")
	}
	if !r.Verified {
		o.Warn("%s: only the length was checked: the service reports no checksum, and this identity may not read the object", at)
	}
	result := uploadResult{Object: at.String(), Size: r.Size, ETag: r.ETag, Parts: r.Parts, Resumed: r.Found, Verified: r.Verified, Warnings: o.Warnings}
	if envelope != nil {
		beside := at
		beside.Key += envelopeSuffix
		if _, err := client.Upload(ctx, beside, bytes.NewReader(envelope), int64(len(envelope)), cos.UploadOptions{}); err != nil {
			return fmt.Errorf("the image was uploaded, but not its envelope: %w", err)
		}
		result.Envelope = beside.String()
	}
	return o.Result(result, talk.Line("%s: %s, ETag %s", at, term.Bytes(r.Size), r.ETag))
}

// abortResult is the output of upload --abort --json.
type abortResult struct {
	Object  string `json:"object"`
	Aborted int    `json:"aborted_uploads"`
}

// giveUp aborts an interrupted upload, or all unfinished uploads of the object if name is "-".
func (o *uploadFlags) giveUp(ctx context.Context, client *cos.Client, at cos.Object, name string, state cos.StateFile) error {
	if name == "-" {
		n, err := client.AbortAll(ctx, at)
		if err != nil {
			return err
		}
		return o.Result(abortResult{at.String(), n}, talk.Line("%s: %s aborted", at, term.Count(n, "upload", "uploads")))
	}
	b, err := state.Load()
	if err == nil && b == nil {
		err = rest.WithHint(fmt.Errorf("%s: no upload to abort", state), "--state names the file that records it")
	}
	if err == nil {
		err = client.AbortUpload(ctx, state)
	}
	if err != nil {
		return err
	}
	return o.Result(abortResult{at.String(), 1}, talk.Line("%s: upload aborted", at))
}

// readEnvelope reads the envelope of the image, if one is given, and returns the region of its root key.
func (o *uploadFlags) readEnvelope(ctx context.Context, in *input) (text []byte, region string, err error) {
	if o.envelope == "" {
		return nil, "", nil
	}
	e, err := readEnvelope(ctx, o.envelope)
	if err != nil {
		return nil, "", err
	}
	if h, err := luks.Open(in.r, in.size, luks.OpenOptions{}); err == nil && e.ImageUUID != "" && h.UUID() != "" && h.UUID() != e.ImageUUID {
		return nil, "", rest.WithHint(fmt.Errorf("%s is the envelope of the image with UUID %s, but %s has %s", o.envelope, e.ImageUUID, in.name, h.UUID()),
			"name the envelope of this image")
	}
	var b bytes.Buffer
	if err := e.Write(&b); err != nil {
		return nil, "", err
	}
	if e.Convention == wrap.None || e.RootKeyCRN == "" {
		return b.Bytes(), "", nil // not for a cloud
	}
	key, err := crn.ParseRootKey(e.RootKeyCRN)
	return b.Bytes(), key.Region, err
}
