package cos

import (
	"context"
	"errors"

	"github.com/luksimg/luksimg/internal/output"
)

// Suffixes of the files next to the destination in which [Client.DownloadFile] keeps an
// unfinished download and its state.
const (
	PartSuffix  = ".download"
	StateSuffix = ".download.json"
)

// FileOptions are the settings of [Client.DownloadFile]. The zero value starts a new download, and
// removes the data after a failure.
type FileOptions struct {
	Jobs   int  // number of ranges fetched concurrently; zero means 4
	Resume bool // continue an earlier download, and keep the data after a failure
	Force  bool // replace an existing file
	// Begin, if not nil, is called with the size of the object. It returns two functions: progress
	// is used as [DownloadOptions.Progress], and done is called at the end.
	Begin func(size int64) (progress func(n int64), done func())
}

// DownloadFile writes an object to a file, which appears under its name when it is complete and
// synced. If the same call can resume after an error, the error is an [InterruptedError];
// [DiscardFile] gives up instead.
func (c *Client) DownloadFile(ctx context.Context, at Object, name string, o FileOptions) (r DownloadResult, err error) {
	d := DownloadOptions{Jobs: o.Jobs}
	begin := output.Create
	if o.Resume {
		d.State, begin = StateFile(name+StateSuffix), output.Resume
	}
	out, err := begin(name, 0o666, o.Force)
	if err != nil {
		return r, err
	}
	defer out.Abort()
	info, err := c.Head(ctx, at)
	if err != nil {
		return r, stopped(err, out, d.State)
	}
	// Data beyond the size belongs to another object.
	if fi, err := out.Stat(); err == nil && fi.Size() > info.Size {
		if err := out.Truncate(info.Size); err != nil {
			return r, err
		}
	}
	done := func() {}
	if o.Begin != nil {
		d.Progress, done = o.Begin(info.Size)
	}
	r, err = c.Download(ctx, at, out, d)
	done()
	if err != nil {
		return r, stopped(err, out, d.State)
	}
	return r, out.Commit()
}

// stopped ends a failed download. It keeps the data if the state describes it.
func stopped(err error, out *output.File, state StateStore) error {
	if !known(state) {
		return err
	}
	if e := out.Keep(); e != nil {
		return errors.Join(err, e)
	}
	return Interrupted(err, state, "--abort removes the partial download")
}

// DiscardFile removes the partial data of an unfinished [Client.DownloadFile].
func DiscardFile(name string) error {
	return errors.Join(output.Discard(name), StateFile(name+StateSuffix).Remove())
}
