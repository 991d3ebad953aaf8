package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/term"
)

type downloadFlags struct {
	*global
	cos.FileOptions
	progress talk.Progress
	abort    bool
}

func newDownload(g *global) *cobra.Command {
	o := &downloadFlags{global: g}
	o.Begin = func(size int64) (func(int64), func()) { return g.begin(&o.progress, "download", size) }
	c := &cobra.Command{
		Use:   "download cos://REGION/BUCKET/OBJECT FILE",
		Short: "Download an image from IBM Cloud Object Storage",
		Long: `Download fetches an object from Object Storage in parallel. FILE appears when it is complete,
synced, and matches the size and the ETag of the object. If the ETag is not an MD5 sum, download compares a
checksum of the service instead.

Until then FILE.download holds the data so far, and FILE` + cos.StateSuffix + ` the progress. If a download is
interrupted, the exit code is 5: run the same command again to resume. --abort removes both files
instead. The exit code is 130 if the download is interrupted before the first part is saved.` + cosHelp,
		Example: `  luksimg download cos://us-south/images/disk.raw disk.raw
  luksimg download --abort cos://us-south/images/disk.raw disk.raw`,
		Args: flags.Args("cos://REGION/BUCKET/OBJECT", "FILE"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0], args[1]) },
	}
	f := c.Flags()
	f.IntVar(&o.Jobs, "jobs", 0, "number of parts fetched at a time (default: 4)")
	f.BoolVar(&o.Resume, "resume", true, "keep the parts of an interrupted download, and continue it")
	f.BoolVar(&o.abort, "abort", false, "remove the parts of an interrupted download")
	f.BoolVar(&o.Force, "force", false, "replace FILE if it exists")
	o.progress.Add(c)
	g.cloud.add(c, serviceCOS)
	return c
}

// downloadResult is the output of download --json.
type downloadResult struct {
	Output   string   `json:"output"`
	Object   string   `json:"object"`
	Size     int64    `json:"size"`
	ETag     string   `json:"etag"`
	Resumed  int64    `json:"resumed_bytes"` // bytes that an earlier run had fetched
	Verified bool     `json:"verified"`      // whether the content matches the ETag or a checksum
	Warnings []string `json:"warnings,omitempty"`
}

func (o *downloadFlags) run(c *cobra.Command, uri, name string) error {
	ctx := c.Context()
	if name == "-" || isCOS(name) {
		return rest.WithHint(errors.New("download writes a file"), "luksimg cat writes an image to standard output")
	}
	err := errors.Join(o.files.Write("the state of the download", name+cos.StateSuffix), o.files.Write("the unfinished FILE", name+cos.PartSuffix), o.progress.Check())
	if err != nil {
		return err
	}
	if o.abort {
		if !isFile(name+cos.StateSuffix) && !isFile(name+cos.PartSuffix) {
			return fmt.Errorf("%s: there is no download to abort", name)
		}
		if err := cos.DiscardFile(name); err != nil {
			return err
		}
		return o.Result(map[string]any{"output": name, "aborted": true}, talk.Line("%s: download aborted", name))
	}
	at, client, err := o.cloud.object(ctx, uri)
	if err != nil {
		return err
	}
	r, err := client.DownloadFile(ctx, at, name, o.FileOptions)
	if err != nil {
		return err
	}
	if !r.Verified {
		o.Warn("%s: only the length was checked, because the object has neither a usable ETag nor a checksum", at)
	}
	return o.Result(downloadResult{
		Output: name, Object: at.String(), Size: r.Size, ETag: r.ETag, Resumed: r.Found, Verified: r.Verified, Warnings: o.Warnings,
	}, talk.Line("%s: %s, ETag %s", name, term.Bytes(r.Size), r.ETag))
}

// begin starts the progress display of a phase.
func (g *global) begin(p *talk.Progress, phase string, total int64) (add func(int64), done func()) {
	shown, err := p.Start(&g.Talk, phase, total)
	if err != nil { // the flag was validated earlier
		return nil, func() {}
	}
	return shown.Add, shown.Done
}
