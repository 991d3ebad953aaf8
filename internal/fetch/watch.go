package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrStalled means that a request was cancelled because it made no progress for too long.
var ErrStalled = errors.New("no progress for too long")

// A BrokenError means that a range could not be read completely, after all attempts.
type BrokenError struct {
	done, of int64
	err      error
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("after %d of %d bytes: %v", e.done, e.of, e.err)
}
func (e *BrokenError) Unwrap() error { return e.err }

// A Watch cancels a request that makes no progress. Call Stop, or close the body that it
// watches, to release it.
type Watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	stall  time.Duration
}

// NewWatch starts a watch. It cancels the request when stall has passed since the start or the last
// call of Moved.
func NewWatch(ctx context.Context, stall time.Duration) *Watch {
	w := &Watch{stall: stall}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(stall, func() { w.cancel(ErrStalled) })
	return w
}

// Context returns the context of the request.
func (w *Watch) Context() context.Context { return w.ctx }

// Moved reports progress.
func (w *Watch) Moved() { w.timer.Reset(w.stall) }

// End cancels the request, but continues to watch the body.
func (w *Watch) End() { w.cancel(nil) }

// Stop cancels the request and stops the watch.
func (w *Watch) Stop() { w.timer.Stop(); w.cancel(nil) }

// Cause returns [ErrStalled] if the watch caused err, and otherwise err.
func (w *Watch) Cause(err error) error {
	if err != nil && err != io.EOF && context.Cause(w.ctx) == ErrStalled {
		return ErrStalled
	}
	return err
}

// Body returns body, watched while a Read is in progress. Close stops the watch.
func (w *Watch) Body(body io.ReadCloser) io.ReadCloser { return &watched{body, w} }

type watched struct {
	io.ReadCloser
	w *Watch
}

func (b *watched) Read(p []byte) (int, error) {
	b.w.Moved()
	n, err := b.ReadCloser.Read(p)
	b.w.timer.Stop()
	return n, b.w.Cause(err)
}

func (b *watched) Close() error {
	err := b.ReadCloser.Close()
	b.w.Stop()
	return err
}
