package softlayer

import (
	"context"
	"errors"

	"github.com/luksimg/luksimg/internal/rest"
)

// WaitOptions are the settings for waiting for a transaction. The zero value polls every 10 seconds
// for up to 2 hours.
type WaitOptions = rest.WaitOptions

// Progress is the result of a poll. Status is the template status, and "" for a server. Step
// is the transaction status such as "COPY_IMAGE", and "" between transactions.
type Progress = rest.Progress

// wait polls until a transaction ends.
func (c *Client) wait(ctx context.Context, op string, id int, o WaitOptions, look func() (p Progress, done, failed bool, err error)) error {
	last := &TransactionError{Op: op, ID: id}
	elapsed, err := rest.Poll(ctx, c.opts.Clock, o, func() (Progress, bool, error) {
		p, done, failed, err := look()
		if err != nil {
			return p, false, err
		}
		last.Step, last.Reason = p.Step, p.Detail
		if failed {
			last.err = ErrFailed
			if last.Step == "" {
				last.Step = p.Status
			}
		}
		return p, done || failed, nil
	})
	if errors.Is(err, ErrTimeout) {
		last.err = ErrTimeout
	}
	if last.err != nil {
		last.Elapsed = elapsed
		return last
	}
	return err
}

// WaitExport waits until the export of a template ends, like WaitImport.
func (c *Client) WaitExport(ctx context.Context, id int, o WaitOptions) (*Template, error) {
	return c.waitTemplate(ctx, "export", id, o)
}

// WaitImport waits until servers can be ordered from the template, and returns it. The error is a
// [TransactionError]. It matches [ErrFailed] if the import failed. It matches [ErrTimeout] if the import
// takes longer than o.Timeout; the import then continues.
func (c *Client) WaitImport(ctx context.Context, id int, o WaitOptions) (*Template, error) {
	return c.waitTemplate(ctx, "import", id, o)
}

func (c *Client) waitTemplate(ctx context.Context, op string, id int, o WaitOptions) (*Template, error) {
	var t *Template
	err := c.wait(ctx, op, id, o, func() (Progress, bool, bool, error) {
		found, err := c.Template(ctx, id)
		if err != nil {
			return Progress{}, false, false, err
		}
		t = found
		return Progress{Status: t.Status, Step: t.Step, Detail: t.Reason}, t.Ready(), t.failed(), nil
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// WaitOrder waits until the server is provisioned, and returns it. It has the errors of
// [Client.WaitImport].
func (c *Client) WaitOrder(ctx context.Context, id int, o WaitOptions) (*Guest, error) {
	var g *Guest
	err := c.wait(ctx, "order", id, o, func() (Progress, bool, bool, error) {
		found, err := c.Guest(ctx, id)
		if err != nil {
			return Progress{}, false, false, err
		}
		g = found
		return Progress{Step: g.Step, Detail: g.Reason}, g.Ready(), failedStep(g.Step), nil
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}
