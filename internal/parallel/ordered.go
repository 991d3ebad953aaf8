package parallel

import (
	"context"
	"iter"
	"sync"
)

// InOrder is [Ordered] for pieces whose data are not read yet.
func InOrder[P any](ctx context.Context, workers, bufSize int, pieces iter.Seq2[P, error], steps ...Step[P]) error {
	next, stop := iter.Pull2(pieces)
	defer stop()
	return Ordered(ctx, workers, bufSize, func([]byte) (P, bool, error) {
		p, err, ok := next()
		return p, ok, err
	}, steps...)
}

// A Step is what [Ordered] does with each piece after the one before it.
type Step[P any] struct {
	Do func(buf []byte, piece P) error
	// InOrder has Do called by one goroutine at a time, in the order of the pieces;
	// otherwise several call it. Each such step has an order of its own: one piece may be
	// in the second of them when the next is in the first.
	InOrder bool
}

// Ordered takes pieces in order with fill, and does the steps with them in as many
// goroutines as workers says, each with a buffer of bufSize bytes. fill puts the data into
// the buffer, if there are any before the first step; it is false at the end. Ordered
// returns as [Run] does; an error of a piece ends the job before a later piece passes the
// next step that is in order. What blocks in a step can not be stopped: see [Await].
func Ordered[P any](ctx context.Context, workers, bufSize int, fill func(buf []byte) (P, bool, error), steps ...Step[P]) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var filling sync.Mutex
	var number int
	var ended bool
	take := func(buf []byte) (n int, p P, ok bool) {
		filling.Lock()
		defer filling.Unlock()
		if ended || ctx.Err() != nil {
			return 0, p, false
		}
		p, ok, err := fill(buf)
		if err != nil {
			cancel(err)
		}
		if err != nil || !ok {
			ended = true
			return 0, p, false
		}
		number++
		return number - 1, p, true
	}
	order := make([]*turns, len(steps))
	for i := range order {
		order[i] = newTurns(ctx)
	}
	one := func(buf []byte) (more bool, err error) {
		n, p, ok := take(buf)
		if !ok {
			return false, nil
		}
		for i, s := range steps {
			if s.InOrder && !order[i].wait(n) {
				return false, nil
			}
			if err := s.Do(buf, p); err != nil {
				return false, err
			}
			if s.InOrder {
				order[i].next()
			}
		}
		return true, nil
	}
	var wg sync.WaitGroup
	for range max(workers, 1) {
		wg.Go(func() {
			buf := make([]byte, bufSize)
			defer clear(buf) // it held plaintext
			for {
				more, err := one(buf)
				if err != nil {
					cancel(err)
				}
				if !more || err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// turns let one goroutine after the other go on, by number.
type turns struct {
	ctx  context.Context
	mu   sync.Mutex
	cond *sync.Cond
	at   int
}

func newTurns(ctx context.Context) *turns {
	t := &turns{ctx: ctx}
	t.cond = sync.NewCond(&t.mu)
	context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.cond.Broadcast()
	})
	return t
}

// wait returns when it is the turn of n, or false when the job has ended.
func (t *turns) wait(n int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.at != n && t.ctx.Err() == nil {
		t.cond.Wait()
	}
	return t.ctx.Err() == nil
}

func (t *turns) next() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at++
	t.cond.Broadcast()
}
