package cos

import (
	"context"
	"errors"

	"github.com/luksimg/luksimg/internal/output"
)

// Where what [Client.DownloadFile] has fetched is until the file is whole, and how far it came:
// in files beside it, whose names end so.
const (
	PartSuffix  = ".download"
	StateSuffix = ".download.json"
)

// FileOptions say how [Client.DownloadFile] works. The zero value begins anew, and keeps
// nothing if it fails.
type FileOptions struct {
	Jobs   int  // how many ranges are fetched at a time; zero is 4
	Resume bool // go on with what an earlier call has fetched, and keep what came if it fails
	Force  bool // replace the file
	// Begin, if not nil, is told the size of the object. What it returns is called as
	// [DownloadOptions.Progress] is, and at the end.
	Begin func(size int64) (progress func(n int64), done func())
}

// DownloadFile writes an object to a file, which appears when it is whole and on the disk.
// An error that the same call goes on after is an [InterruptedError]; [DiscardFile] gives it up.
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
	// What is there beyond the object is of another one.
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

// stopped ends a download that failed. What came is kept if there is a state that tells what
// it is.
func stopped(err error, out *output.File, state StateStore) error {
	if !known(state) {
		return err
	}
	if e := out.Keep(); e != nil {
		return errors.Join(err, e)
	}
	return Interrupted(err, state, "--abort removes what came")
}

// DiscardFile removes what came of a file that [Client.DownloadFile] did not finish.
func DiscardFile(name string) error {
	return errors.Join(output.Discard(name), StateFile(name+StateSuffix).Remove())
}
