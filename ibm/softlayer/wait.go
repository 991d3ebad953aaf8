package softlayer

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
	Status  string        // of the template; "" for a server
	Step    string        // the transaction status: "COPY_IMAGE"; "" between transactions
	Detail  string        // the service's words for the step
	Elapsed time.Duration // since the waiting began
}

const (
	defaultInterval = 10 * time.Second
	defaultWait     = 2 * time.Hour
	// maxMisses is how many polls in a row may fail before waiting gives up.
	maxMisses = 5
)

// sleep waits for d of the clock, or for ctx.
func (c *Client) sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.cfg.Clock.After(d):
		return nil
	}
}

// poll calls look until it reports an end. Calls that fail for a reason that may pass
// are repeated.
func (c *Client) poll(ctx context.Context, op string, id int, o WaitOptions, look func() (p Progress, done, failed bool, err error)) error {
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
		p, done, failed, err := look()
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
		}
		switch {
		case err == nil && failed:
			step := p.Step
			if step == "" {
				step = p.Status
			}
			return &TransactionError{Op: op, ID: id, Step: step, Reason: p.Detail, Elapsed: elapsed, err: ErrFailed}
		case err == nil && done:
			return nil
		case elapsed >= o.Timeout:
			return &TransactionError{Op: op, ID: id, Step: last.Step, Reason: last.Detail, Elapsed: elapsed, err: ErrTimeout}
		}
		if err := c.sleep(ctx, min(o.Interval, o.Timeout-elapsed)); err != nil {
			return err
		}
	}
}

// passing reports whether a poll that failed so is worth repeating.
func passing(err error) bool {
	var e *Error
	if !errors.As(err, &e) || errors.Is(err, ErrNotFound) {
		return false
	}
	return e.Status == 0 || e.Status == 429 || e.Status >= 500 && e.Code == "" || e.err != nil ||
		e.Code == "SoftLayer_Exception_WebService_RateLimitExceeded"
}

// WaitImport waits until the template can be ordered from, and returns it. If the
// import fails, that is a [TransactionError] that matches [ErrFailed]; if it takes
// longer than o.Timeout, one that matches [ErrTimeout], and the import goes on.
func (c *Client) WaitImport(ctx context.Context, id int, o WaitOptions) (*Template, error) {
	var t *Template
	err := c.poll(ctx, "import", id, o, func() (Progress, bool, bool, error) {
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
	err := c.poll(ctx, "order", id, o, func() (Progress, bool, bool, error) {
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
