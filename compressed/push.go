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

// pushSize is the number of bytes that a worker reads at a time. It is small enough to stay in the
// CPU's cache.
const pushSize = 256 << 10

// Push implements [image.Pusher]. The workers take turns to read, and each processes its part while the
// next one reads.
func (s *InOrder) Push(ctx context.Context, workers int, do func(p []byte, off int64) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.mu.Lock()
	closed := s.closed
	s.stop() // the chunks that it keeps are read again
	if !closed {
		s.starts++
	}
	s.mu.Unlock()
	if closed {
		return errClosed
	}
	pass, err := s.pass(ctx)
	if err != nil {
		return err
	}
	defer pass.in.Close()
	var reading sync.Mutex
	take := func(buf []byte) (p []byte, off int64, ok bool) {
		reading.Lock()
		defer reading.Unlock()
		if ctx.Err() != nil || pass.off == s.size {
			return nil, 0, false
		}
		p, off, err := pass.next(buf)
		if err != nil {
			cancel(err) // before another worker reads
		}
		return p, off, err == nil
	}
	var wg sync.WaitGroup
	for range max(1, workers) {
		wg.Go(func() {
			buf := make([]byte, pushSize)
			for {
				p, off, ok := take(buf)
				if !ok {
					return
				}
				if err := do(p, off); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// aligned reports whether there are several units, and each starts at a multiple of [image.PushUnit].
func (x *index) aligned() bool {
	for _, u := range x.units {
		if u.off%image.PushUnit != 0 {
			return false
		}
	}
	return len(x.units) > 1
}

// pushUnits lets each worker read one unit after the other. open returns a reader of a section of the
// file. It can reuse before, the reader of the worker's previous section, unless that is nil.
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
		buf := make([]byte, pushSize)
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
			pass := &pass{s: &InOrder{size: x.size(i)}, in: unit}
			for pass.off < pass.s.size {
				p, off, err := pass.next(buf)
				if err == nil {
					err = context.Cause(ctx)
				}
				if err == nil {
					err = do(p, x.units[i].off+off)
				}
				if err != nil {
					return err
				}
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
