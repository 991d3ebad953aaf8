// Package parallel distributes pieces of work to workers with their own buffers, and stops all workers
// at the first error. It also waits for calls that cannot be stopped.
package parallel

import (
	"context"
	"iter"
	"runtime"
	"sync"
)

// Workers returns the number of workers of a job: asked, or one for each CPU if asked is zero.
func Workers(asked int) int {
	if asked > 0 {
		return asked
	}
	return runtime.GOMAXPROCS(0)
}

// Progress returns a function that calls f, if f is not nil, for each finished part.
func Progress(f func(n int64)) func(n int64) {
	if f == nil {
		return func(int64) {}
	}
	return func(n int64) {
		if n > 0 {
			f(n)
		}
	}
}

// Run gets pieces from the sequence, one at a time, and calls do for each of them from workers
// goroutines (at least one). Each goroutine has a buffer of bufSize bytes. Run returns when all have
// stopped: at the end of the sequence, at the first error of the sequence or of do, or when ctx is
// done. It returns that error, or the cause of ctx. do must return within a fraction of a second.
func Run[P any](ctx context.Context, workers, bufSize int, pieces iter.Seq2[P, error], do func(buf []byte, piece P) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next, stop := iter.Pull2(pieces)
	defer stop()
	var mu sync.Mutex // guards next
	take := func() (P, bool) {
		mu.Lock()
		defer mu.Unlock()
		var none P
		if ctx.Err() != nil {
			return none, false
		}
		p, err, ok := next()
		if err != nil {
			cancel(err)
			return none, false
		}
		return p, ok
	}
	var wg sync.WaitGroup
	for range max(workers, 1) {
		wg.Go(func() {
			buf := make([]byte, bufSize)
			defer clear(buf) // it held plaintext
			for p, ok := take(); ok; p, ok = take() {
				if err := do(buf, p); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// Await calls f and returns its error, or the cause of ctx as soon as ctx is done. f then continues in
// the background. Use it for calls that cannot be stopped, such as deriving a key or reading from a
// terminal.
func Await(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
