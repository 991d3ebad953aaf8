package parallel

import (
	"context"
	"iter"
	"sync"
)

// InOrder is like [Ordered], for pieces whose data have not been read.
func InOrder[P any](ctx context.Context, workers, bufSize int, pieces iter.Seq2[P, error], steps ...Step[P]) error {
	next, stop := iter.Pull2(pieces)
	defer stop()
	return Ordered(ctx, workers, bufSize, func([]byte) (P, bool, error) {
		p, err, ok := next()
		return p, ok, err
	}, steps...)
}

// A Step is one operation of [Ordered] on a piece.
type Step[P any] struct {
	Do func(buf []byte, piece P) error
	// InOrder means that one goroutine at a time calls Do, in the order of the pieces; otherwise
	// several do. Each ordered step has its own order: a piece can be in the second one while the next
	// piece is in the first.
	InOrder bool
}

// Ordered gets pieces in order from fill and runs the steps on them in workers goroutines, each with a
// buffer of bufSize bytes. fill returns false at the end. It fills the buffer if the data exist before
// the first step. Ordered returns as [Run] does. An error of a piece ends the job before a later piece
// passes the next ordered step. A step that blocks cannot be stopped; see [Await].
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

// turns let goroutines continue one after the other, by number.
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

// wait returns true when it is the turn of n, or false when the job has ended.
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
