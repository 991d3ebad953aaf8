package vpc

import (
	"context"
	"errors"

	"github.com/luksimg/luksimg/internal/rest"
)

// WaitOptions are the settings for waiting. The zero value polls every 10 seconds for up to 2 hours.
type WaitOptions = rest.WaitOptions

// Progress is the result of a poll. Its Detail is the first of the status reasons.
type Progress = rest.Progress

// wait polls until the status is good or one of bad.
func (c *Client) wait(ctx context.Context, op, id string, o WaitOptions, good string, bad []string, look func() (status string, reasons []StatusReason, err error)) error {
	last := &StatusError{Op: op, ID: id}
	elapsed, err := rest.Poll(ctx, c.opts.Clock, o, func() (Progress, bool, error) {
		status, reasons, err := look()
		if err != nil {
			return Progress{}, false, err
		}
		last.Status, last.Reasons = status, reasons
		for _, b := range bad {
			if status == b {
				last.err = ErrFailed
			}
		}
		p := Progress{Status: status}
		if len(reasons) > 0 {
			p.Detail = reasons[0].Message
		}
		return p, status == good || last.err != nil, nil
	})
	if errors.Is(err, ErrTimeout) {
		last.err, err = ErrTimeout, nil
	}
	if err == nil && last.err != nil {
		last.Elapsed = elapsed
		return last
	}
	return err
}

// WaitImage waits until the image is available, and returns it. The error is a
// [StatusError]. It matches [ErrFailed] if the image failed. It matches [ErrTimeout] if the image
// takes longer than o.Timeout; the import then continues.
func (c *Client) WaitImage(ctx context.Context, id string, o WaitOptions) (img *Image, err error) {
	bad := []string{"failed", "unusable", "deleting", "obsolete", "deprecated"}
	err = c.wait(ctx, "image", id, o, "available", bad, func() (string, []StatusReason, error) {
		found, err := c.Image(ctx, id)
		if err != nil {
			return "", nil, err
		}
		img = found
		return img.Status, img.Reasons, nil
	})
	if err != nil {
		return nil, err
	}
	return img, nil
}

// WaitInstance waits until the instance is running, and returns it. It has the errors of
// [Client.WaitImage].
func (c *Client) WaitInstance(ctx context.Context, id string, o WaitOptions) (i *Instance, err error) {
	bad := []string{"failed", "deleting", "stopped"}
	err = c.wait(ctx, "instance", id, o, "running", bad, func() (string, []StatusReason, error) {
		found, err := c.Instance(ctx, id)
		if err != nil {
			return "", nil, err
		}
		i = found
		return i.Status, i.Reasons, nil
	})
	if err != nil {
		return nil, err
	}
	return i, nil
}
