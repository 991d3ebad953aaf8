package compressed

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"github.com/luksimg/luksimg/image"
)

// CanPush implements [image.Pusher].
func (s *InOrder) CanPush() bool { return true }

// Push implements [image.Pusher]: one goroutine reads, and the workers take what it has read.
func (s *InOrder) Push(ctx context.Context, workers int, do func(p []byte, off int64) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.mu.Lock()
	closed := s.closed
	s.stop() // what it keeps is read anew
	if !closed {
		s.starts++
	}
	s.mu.Unlock()
	if closed {
		return errClosed
	}
	type part struct {
		*chunk
		off int64
	}
	workers = max(1, workers)
	parts := make(chan part)
	free := make(chan *chunk, workers+2)
	for range cap(free) {
		free <- nil
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for p := range parts {
				if ctx.Err() == nil {
					if err := do(p.b, p.off); err != nil {
						cancel(err)
					}
				}
				p.b = p.b[:cap(p.b)]
				free <- p.chunk
			}
		})
	}
	room := func() *chunk {
		select {
		case c := <-free:
			if c == nil {
				c = &chunk{b: make([]byte, chunkSize)}
			}
			return c
		case <-ctx.Done():
			return nil
		}
	}
	err := s.all(ctx, room, func(c *chunk, off int64) bool {
		select {
		case parts <- part{c, off}:
			return true
		case <-ctx.Done():
			return false
		}
	})
	close(parts)
	wg.Wait()
	if context.Cause(ctx) != nil {
		return context.Cause(ctx)
	}
	return err
}

// aligned tells whether there is more than one unit, and each starts at a multiple of [image.PushUnit].
func (x *index) aligned() bool {
	for _, u := range x.units {
		if u.off%image.PushUnit != 0 {
			return false
		}
	}
	return len(x.units) > 1
}

// pushUnits has each worker read one unit after the other, by the readers that open makes: for a
// section of the file, one or, if it is not nil, the one of the section before.
func (f *File) pushUnits(ctx context.Context, workers int, open func(r io.Reader, before io.ReadCloser) (io.ReadCloser, error), do func(p []byte, off int64) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	x := f.index
	var taken atomic.Int64
	worker := func() error {
		var d io.ReadCloser
		defer func() {
			if d != nil {
				d.Close()
			}
		}()
		buf := make([]byte, chunkSize)
		for {
			i := int(taken.Add(1)) - 1
			if i >= len(x.units) {
				return nil
			}
			from := &counter{ctx: ctx, r: x.section(f.r, i)}
			var err error
			if d, err = open(from, d); err != nil {
				return err
			}
			unit := &Reader{ctx: ctx, kind: f.kind, d: io.NopCloser(d), in: from, packed: f.file, o: f.o}
			in := &InOrder{size: x.size(i), open: func(context.Context) (io.ReadCloser, error) { return unit, nil }}
			room := &chunk{b: buf}
			err = in.all(ctx, func() *chunk { return room }, func(c *chunk, off int64) bool {
				if err := context.Cause(ctx); err != nil {
					return false
				}
				if err := do(c.b, x.units[i].off+off); err != nil {
					cancel(err)
				}
				c.b = buf
				return true
			})
			if err != nil {
				return err
			}
		}
	}
	var wg sync.WaitGroup
	for range max(1, min(workers, len(x.units))) {
		wg.Go(func() {
			if err := worker(); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
