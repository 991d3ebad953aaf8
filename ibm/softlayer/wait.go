package softlayer

import (
	"context"
	"errors"

	"github.com/luksimg/luksimg/internal/rest"
)

// WaitOptions say how to wait for a transaction. The zero value polls every 10 seconds,
// for 2 hours.
type WaitOptions = rest.WaitOptions

// Progress is what a poll found: Status is that of the template and "" for a server, Step
// the transaction status, "COPY_IMAGE", and "" between transactions.
type Progress = rest.Progress

// wait looks until a transaction has come to an end.
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

// WaitExport waits until the export of a template has ended, as WaitImport does.
func (c *Client) WaitExport(ctx context.Context, id int, o WaitOptions) (*Template, error) {
	return c.waitTemplate(ctx, "export", id, o)
}

// WaitImport waits until the template can be ordered from, and returns it. If the
// import fails, that is a [TransactionError] that matches [ErrFailed]; if it takes
// longer than o.Timeout, one that matches [ErrTimeout], and the import goes on.
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

// WaitOrder waits until the server is provisioned, and returns it. Errors are as with
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
