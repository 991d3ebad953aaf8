package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrStalled is a request that was given up, as no byte moved for too long.
var ErrStalled = errors.New("no byte moved for too long")

// A BrokenError is a range that was not read to its end, after all attempts.
type BrokenError struct {
	done, of int64
	err      error
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("after %d of %d bytes: %v", e.done, e.of, e.err)
}
func (e *BrokenError) Unwrap() error { return e.err }

// A Watch ends a request that no byte moves in. It must be stopped, or the body that it watches
// closed.
type Watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	stall  time.Duration
}

// NewWatch begins to watch: when stall has passed since then, or since the last call of Moved,
// the request is ended.
func NewWatch(ctx context.Context, stall time.Duration) *Watch {
	w := &Watch{stall: stall}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(stall, func() { w.cancel(ErrStalled) })
	return w
}

// Context is that of the request.
func (w *Watch) Context() context.Context { return w.ctx }

// Moved tells that a byte moved.
func (w *Watch) Moved() { w.timer.Reset(w.stall) }

// End ends the request, and goes on watching what is left of it.
func (w *Watch) End() { w.cancel(nil) }

// Stop ends the request, and the watch.
func (w *Watch) Stop() { w.timer.Stop(); w.cancel(nil) }

// Cause returns [ErrStalled] for an error that comes of that, and other errors as they are.
func (w *Watch) Cause(err error) error {
	if err != nil && err != io.EOF && context.Cause(w.ctx) == ErrStalled {
		return ErrStalled
	}
	return err
}

// Body watches the body of an answer, while somebody waits for it. Closing it stops the watch.
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
