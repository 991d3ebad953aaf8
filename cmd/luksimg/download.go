package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/term"
)

// downloadSuffix is what goes after the name of a file for that of the state of its
// download.
const downloadSuffix = ".download.json"

type downloadFlags struct {
	*global
	progress talk.Progress
	jobs     int
	resume   bool
	abort    bool
	force    bool
}

func newDownload(g *global) *cobra.Command {
	o := &downloadFlags{global: g}
	c := &cobra.Command{
		Use:   "download cos://REGION/BUCKET/OBJECT FILE",
		Short: "Download an image from IBM Cloud Object Storage",
		Long: `Download fetches an object from Object Storage in parallel. FILE appears when it is whole, on
the disk, and is what the size and the ETag of the object tell.

Until then what came is in FILE.download, and how far it came in FILE` + downloadSuffix + `. When a
download is interrupted the exit code is 5, and the same command goes on where it stopped;
--abort removes both files instead. Before there is anything to go on with an interruption is
exit code 130.` + cosHelp,
		Example: `  luksimg download cos://us-south/images/disk.raw disk.raw
  luksimg download --abort cos://us-south/images/disk.raw disk.raw`,
		Args: flags.Args("cos://REGION/BUCKET/OBJECT", "FILE"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0], args[1]) },
	}
	f := c.Flags()
	f.IntVar(&o.jobs, "jobs", 0, "number of parts fetched at a time (default: 4)")
	f.BoolVar(&o.resume, "resume", true, "keep what came if the download is interrupted, and go on with it")
	f.BoolVar(&o.abort, "abort", false, "remove what came of a download that was interrupted")
	f.BoolVar(&o.force, "force", false, "replace FILE if it is there")
	o.progress.Add(c)
	g.cloud.add(c, serviceCOS)
	return c
}

// downloadResult is what download --json prints.
type downloadResult struct {
	Output   string   `json:"output"`
	Object   string   `json:"object"`
	Size     int64    `json:"size"`
	ETag     string   `json:"etag"`
	Resumed  int64    `json:"resumed_bytes"` // that an earlier run had fetched
	Verified bool     `json:"verified"`      // the content, by the ETag
	Warnings []string `json:"warnings,omitempty"`
}

func (o *downloadFlags) run(c *cobra.Command, uri, name string) error {
	ctx, t := c.Context(), &o.Talk
	at, err := cos.ParseURI(uri)
	if err != nil {
		return err
	}
	if name == "-" || isCOS(name) {
		return rest.WithHint(errors.New("download writes a file"), "luksimg cat writes an image to standard output")
	}
	state := cos.StateFile(name + downloadSuffix)
	if err := errors.Join(o.files.Write("the state of the download", string(state)), o.files.Write("what came of FILE", name+".download")); err != nil {
		return err
	}
	if o.abort {
		return o.giveUp(t, name, state)
	}
	client, err := o.cloud.cos(ctx, "")
	if err != nil {
		return err
	}
	opts := cos.DownloadOptions{Jobs: o.jobs}
	var out *output.File
	if o.resume {
		opts.State = state
		out, err = output.Resume(name, 0o666, o.force)
	} else {
		out, err = output.Create(name, 0o666, o.force)
	}
	if err != nil {
		return err
	}
	defer out.Abort()
	info, err := client.Head(ctx, at)
	if err != nil {
		return o.stopped(err, out, state)
	}
	// What is there beyond the object is of another one.
	if err := out.Truncate(min(info.Size, lengthOf(out))); err != nil {
		return err
	}
	p, err := o.progress.Start(t, "download", info.Size)
	if err != nil {
		return err
	}
	opts.Progress = p.Add
	r, err := client.Download(ctx, at, out, opts)
	p.Done()
	if err != nil {
		return o.stopped(err, out, state)
	}
	if !r.Verified {
		t.Warn("%s: only its length was checked: the ETag does not tell what the content is", at)
	}
	if err := out.Commit(); err != nil {
		return err
	}
	return t.Result(downloadResult{
		Output: name, Object: at.String(), Size: r.Size, ETag: r.ETag, Resumed: r.Found, Verified: r.Verified, Warnings: t.Warnings,
	}, talk.Line("%s: %s, ETag %s", name, term.Bytes(r.Size), r.ETag))
}

// stopped ends a download that failed. What came is kept if there is a state that tells
// what it is.
func (o *downloadFlags) stopped(err error, out *output.File, state cos.StateFile) error {
	if !o.resume {
		return err
	}
	if b, e := state.Load(); e != nil || b == nil {
		return err
	}
	if e := out.Keep(); e != nil {
		return errors.Join(err, e)
	}
	return resumable(err, state, "--abort removes what came")
}

func (o *downloadFlags) giveUp(t *talk.Talk, name string, state cos.StateFile) error {
	if err := errors.Join(output.Discard(name), state.Remove()); err != nil {
		return err
	}
	return t.Result(map[string]any{"output": name, "aborted": true}, talk.Line("%s: the download was given up", name))
}

// lengthOf returns the length of a file that is open for writing.
func lengthOf(f *output.File) int64 {
	fi, err := f.Stat()
	if err != nil {
		return 0
	}
	return fi.Size()
}
