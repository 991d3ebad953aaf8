package vpc

import (
	"context"
	"errors"
	"time"
)

// WaitOptions say how to wait. The zero value polls every 10 seconds, for 2 hours.
type WaitOptions struct {
	Interval time.Duration // between polls; zero is 10 seconds
	Timeout  time.Duration // in all; zero is 2 hours

	// Progress, if not nil, is called after each poll, from the goroutine that waits.
	Progress func(Progress)
}

// Progress is what a poll found.
type Progress struct {
	Status  string         // "pending"
	Reasons []StatusReason // as the service gave them
	Elapsed time.Duration  // since the waiting began
}

const (
	defaultInterval = 10 * time.Second
	defaultWait     = 2 * time.Hour
	// maxMisses is how many polls in a row may fail before waiting gives up.
	maxMisses = 5
)

// poll calls look until the status is one of an end. Calls that fail for a reason that
// may pass are repeated.
func (c *Client) poll(ctx context.Context, op, id string, o WaitOptions, look func() (Progress, error), done func(status string) (ok, failed bool)) error {
	if o.Interval <= 0 {
		o.Interval = defaultInterval
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultWait
	}
	start := c.cfg.Clock.Now()
	misses := 0
	var last Progress
	for {
		p, err := look()
		elapsed := c.cfg.Clock.Now().Sub(start)
		switch {
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && (!passing(err) || misses+1 >= maxMisses):
			return err
		case err != nil:
			misses++
		default:
			misses, last = 0, p
			last.Elapsed = elapsed
			if o.Progress != nil {
				o.Progress(last)
			}
			ok, failed := done(p.Status)
			if ok {
				return nil
			}
			if failed {
				return &StatusError{Op: op, ID: id, Status: p.Status, Reasons: p.Reasons, Elapsed: elapsed, err: ErrFailed}
			}
		}
		if elapsed >= o.Timeout {
			return &StatusError{Op: op, ID: id, Status: last.Status, Reasons: last.Reasons, Elapsed: elapsed, err: ErrTimeout}
		}
		if err := c.sleep(ctx, min(o.Interval, o.Timeout-elapsed)); err != nil {
			return err
		}
	}
}

// passing reports whether a poll that failed so is worth repeating.
func passing(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Status == 0 || e.Status == 429 || e.Status >= 500)
}

// WaitImage waits until the image is available, and returns it. If it fails, that is a
// [StatusError] that matches [ErrFailed]; if it takes longer than o.Timeout, one that
// matches [ErrTimeout], and the import goes on.
func (c *Client) WaitImage(ctx context.Context, id string, o WaitOptions) (*Image, error) {
	var img *Image
	err := c.poll(ctx, "image", id, o, func() (Progress, error) {
		found, err := c.Image(ctx, id)
		if err != nil {
			return Progress{}, err
		}
		img = found
		return Progress{Status: img.Status, Reasons: img.Reasons}, nil
	}, func(status string) (ok, failed bool) {
		switch status {
		case "available":
			return true, false
		case "failed", "unusable", "deleting", "obsolete", "deprecated":
			return false, true
		}
		return false, false
	})
	if err != nil {
		return nil, err
	}
	return img, nil
}

// WaitInstance waits until the instance runs, and returns it. Errors are as with
// [Client.WaitImage].
func (c *Client) WaitInstance(ctx context.Context, id string, o WaitOptions) (*Instance, error) {
	var i *Instance
	err := c.poll(ctx, "instance", id, o, func() (Progress, error) {
		found, err := c.Instance(ctx, id)
		if err != nil {
			return Progress{}, err
		}
		i = found
		return Progress{Status: i.Status, Reasons: i.Reasons}, nil
	}, func(status string) (ok, failed bool) {
		switch status {
		case "running":
			return true, false
		case "failed", "deleting", "stopped":
			return false, true
		}
		return false, false
	})
	if err != nil {
		return nil, err
	}
	return i, nil
}
