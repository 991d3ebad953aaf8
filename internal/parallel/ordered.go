package parallel

import (
	"context"
	"sync"
)

// Stages are what [Ordered] does with each buffer. Fill and Emit are called by one
// goroutine at a time and in order; Work by several at a time.
type Stages[P any] struct {
	// Fill takes the next piece, into buf if it has data; ok is false at the end.
	Fill func(buf []byte) (piece P, ok bool, err error)
	// Work does with buf what needs no order. It may be nil.
	Work func(buf []byte, piece P) error
	// Emit is called in the order of the pieces. Stages after each other are in order
	// each by itself: one piece may be in the second when the next is in the first.
	Emit []func(buf []byte, piece P) error
	// Between, if not nil, is Work between two stages of Emit: after the first of them.
	Between func(buf []byte, piece P) error
}

// Ordered takes pieces in order, works on them in as many goroutines as workers says,
// each with a buffer of bufSize bytes, and emits them in order. It returns as [Run]
// does; an error of a piece ends the job before any later piece is emitted. What blocks
// in a stage can not be stopped: see [Await].
func Ordered[P any](ctx context.Context, workers, bufSize int, s Stages[P]) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	fill := newTurns(ctx)
	turns := make([]*turns, len(s.Emit))
	for i := range turns {
		turns[i] = newTurns(ctx)
	}
	var number int
	var ended bool
	take := func(buf []byte) (n int, p P, ok bool) {
		fill.mu.Lock()
		defer fill.mu.Unlock()
		if ended || ctx.Err() != nil {
			return 0, p, false
		}
		p, ok, err := s.Fill(buf)
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
	one := func(buf []byte) (more bool, err error) {
		n, p, ok := take(buf)
		if !ok {
			return false, nil
		}
		if s.Work != nil {
			if err := s.Work(buf, p); err != nil {
				return false, err
			}
		}
		for i, emit := range s.Emit {
			if i == 1 && s.Between != nil {
				if err := s.Between(buf, p); err != nil {
					return false, err
				}
			}
			if !turns[i].wait(n) {
				return false, nil
			}
			if err := emit(buf, p); err != nil {
				return false, err
			}
			turns[i].next()
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
