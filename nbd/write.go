package nbd

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// zeros are written if storage cannot be freed.
var zeros [64 << 10]byte

// writeInline writes from the receive buffer.
func (c *session) writeInline(ctx context.Context, q request) error {
	if c.r.Buffered() < int(q.length) {
		if err := c.flush(ctx); err != nil {
			return err
		}
	}
	p, err := c.r.Peek(int(q.length))
	if err != nil {
		return err
	}
	failed := c.writeAt(p, q.off)
	if _, err := c.r.Discard(len(p)); err != nil {
		return err
	}
	if failed != nil {
		return c.add(ctx, c.errorReply(q, failed))
	}
	return c.add(ctx, c.doneReply(q))
}

// A writing is a write whose pieces several goroutines write.
type writing struct {
	mu     sync.Mutex
	pieces int // pieces to write, plus 1 until all are known
	err    error
}

// done counts a written piece and reports whether it was the last one.
func (w *writing) done(err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	w.pieces--
	return w.pieces == 0
}

func (w *writing) more() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pieces++
}

// write reads the data of a write and has goroutines write it.
func (c *session) write(ctx context.Context, q request) error {
	if err := c.flush(ctx); err != nil {
		return err
	}
	w := &writing{pieces: 1}
	for off := q.off; off < q.end(); {
		if err := c.slot(ctx); err != nil {
			return err
		}
		buf, put := c.get()
		p := buf[headroom:]
		p = p[:min(uint64(len(p)), q.end()-off)]
		if _, err := io.ReadFull(c.r, p); err != nil {
			put()
			<-c.slots
			return err
		}
		w.more()
		at := off
		c.work(func() {
			err := c.writeAt(p, at)
			put()
			if w.done(err) {
				c.finish(ctx, q, c.durable(q, w.err))
			}
		})
		off += uint64(len(p))
	}
	if !w.done(nil) {
		return nil
	}
	return c.spawn(ctx, func() { c.finish(ctx, q, c.durable(q, w.err)) })
}

// change handles the commands that change the disk and have no data.
func (c *session) change(ctx context.Context, q request) {
	c.finish(ctx, q, func() error {
		var err error
		switch {
		case q.command == cmdFlush:
			if c.e.Target == nil {
				return nil
			}
			return c.sync()
		case q.length == 0:
		case q.command == cmdTrim:
			err = c.punch(q)
			if errors.Is(err, errors.ErrUnsupported) {
				err = nil // trim is only a hint
			}
		default:
			err = c.writeZeros(ctx, q)
		}
		return c.durable(q, err)
	}())
}

// writeZeros frees storage if allowed and possible, or writes zeros.
func (c *session) writeZeros(ctx context.Context, q request) error {
	err := errors.ErrUnsupported
	if q.flags&cmdFlagNoHole == 0 {
		err = c.punch(q)
	}
	switch {
	case !errors.Is(err, errors.ErrUnsupported):
		return err
	case q.flags&cmdFlagFastZero != 0:
		return errNotFast
	}
	for off := q.off; off < q.end(); {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		p := zeros[:min(uint64(len(zeros)), q.end()-off)]
		if err := c.writeAt(p, off); err != nil {
			return err
		}
		off += uint64(len(p))
	}
	return nil
}

// punch frees the storage of a nonempty request.
func (c *session) punch(q request) error {
	p, ok := c.e.Target.(Puncher)
	if !ok {
		return errors.ErrUnsupported
	}
	err := p.Punch(int64(q.off), int64(q.length))
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		c.s.report(err)
	}
	return err
}

// durable makes a successful write durable if the client requested that.
func (c *session) durable(q request, err error) error {
	if err != nil || q.flags&cmdFlagFUA == 0 {
		return err
	}
	return c.sync()
}

func (c *session) sync() error {
	err := c.e.Target.Sync()
	if err != nil {
		c.s.report(err)
	}
	return err
}

func (c *session) writeAt(p []byte, off uint64) error {
	start := time.Now()
	_, err := c.e.Target.WriteAt(p, int64(off))
	c.timed(start, len(p))
	if err != nil {
		c.s.report(err)
	}
	return err
}
