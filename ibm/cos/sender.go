package cos

import (
	"context"
	"sync"
)

// A sender uploads a few parts from memory concurrently, and recycles their buffers.
type sender struct {
	multipart
	ctx    context.Context
	cancel context.CancelCauseFunc
	slots  chan struct{} // one for each part in flight
	wg     sync.WaitGroup

	mu   sync.Mutex
	free [][]byte
	err  error
}

func (c *Client) newSender(ctx context.Context, o Object, jobs int, sent func(int64)) (*sender, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if err := o.CheckImages(); err != nil {
		return nil, err
	}
	if jobs <= 0 {
		jobs = 2
	}
	s := &sender{multipart: multipart{c: c, at: o, sent: sent}, slots: make(chan struct{}, jobs)}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	return s, nil
}

// buffer returns a buffer of size bytes with arbitrary contents.
func (s *sender) buffer(size int64) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := len(s.free); n > 0; n = len(s.free) {
		b := s.free[n-1]
		s.free = s.free[:n-1]
		if int64(cap(b)) >= size {
			return b[:size]
		}
	}
	return make([]byte, size)
}

// release returns a buffer for reuse.
func (s *sender) release(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, b)
}

// fail records the first error and cancels the parts in flight.
func (s *sender) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		s.cancel(err)
	}
}

// failure returns the recorded error.
func (s *sender) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return s.err
}

// dispatch sends a part as soon as a slot is free. It takes ownership of b. failure reports
// errors later.
func (s *sender) dispatch(number int, b []byte) error {
	select {
	case s.slots <- struct{}{}:
	case <-s.ctx.Done():
		return s.failure()
	}
	s.wg.Go(func() {
		defer func() { <-s.slots }()
		if _, err := s.send(s.ctx, number, inMemory(b), 0, int64(len(b)), nil, nil); err != nil {
			s.fail(err)
		}
		s.release(b)
	})
	return nil
}

// finish waits for the parts and completes the object, or aborts the upload after an error.
func (s *sender) finish(size int64) error {
	s.wg.Wait()
	err := s.failure()
	if err == nil {
		if s.id != "" {
			err = s.complete(s.ctx, size)
		} else {
			err = s.check(s.ctx, size, true)
		}
	}
	if err != nil {
		err = s.aborted(s.ctx, err)
		s.fail(err)
	}
	s.cancel(nil)
	return err
}

// giveUp cancels the parts in flight and aborts the upload.
func (s *sender) giveUp(cause error) error {
	s.fail(cause)
	s.wg.Wait()
	return s.abort(s.ctx)
}
