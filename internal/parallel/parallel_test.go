package parallel_test

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"testing"

	"github.com/luksimg/luksimg/internal/parallel"
)

var errBoom = errors.New("boom")

// count yields 0 to n-1 and then err, if that is not nil.
func count(n int, err error) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
		if err != nil {
			yield(0, err)
		}
	}
}

func TestAllDone(t *testing.T) {
	for _, workers := range []int{-1, 0, 1, 2, 7} {
		for _, n := range []int{0, 1, 5, 1000} {
			done := make([]atomic.Int32, n)
			err := parallel.Run(context.Background(), workers, 16, count(n, nil), func(buf []byte, i int) error {
				if len(buf) != 16 {
					t.Errorf("buffer of %d bytes", len(buf))
				}
				done[i].Add(1)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			for i := range done {
				if got := done[i].Load(); got != 1 {
					t.Errorf("%d workers: piece %d of %d was done %d times", workers, i, n, got)
				}
			}
		}
	}
}

func TestOwnBuffers(t *testing.T) {
	err := parallel.Run(context.Background(), 4, 1, count(1000, nil), func(buf []byte, i int) error {
		buf[0] = byte(i) // for the race detector
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestErrors(t *testing.T) {
	ctx := context.Background()
	if err := parallel.Run(ctx, 3, 0, count(10, errBoom), func([]byte, int) error { return nil }); !errors.Is(err, errBoom) {
		t.Errorf("error of the sequence: %v", err)
	}
	var calls atomic.Int32
	err := parallel.Run(ctx, 3, 0, count(1_000_000, nil), func(_ []byte, i int) error {
		if calls.Add(1) == 5 {
			return errBoom
		}
		return nil
	})
	if !errors.Is(err, errBoom) || calls.Load() > 100_000 {
		t.Errorf("error of a piece: %v after %d calls", err, calls.Load())
	}
	cancelled, cancel := context.WithCancelCause(ctx)
	cancel(errBoom)
	if err := parallel.Run(cancelled, 3, 0, count(10, nil), func([]byte, int) error { t.Error("called"); return nil }); !errors.Is(err, errBoom) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestAwait(t *testing.T) {
	if err := parallel.Await(context.Background(), func() error { return errBoom }); !errors.Is(err, errBoom) {
		t.Errorf("its own error: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	never := make(chan struct{})
	defer close(never)
	err := parallel.Await(ctx, func() error { cancel(); <-never; return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestWipedOnError checks that workers that end with an error wipe their buffers.
func TestWipedOnError(t *testing.T) {
	broken := errors.New("broken")
	var seen []byte
	err := parallel.Run(t.Context(), 1, 16, func(yield func(int, error) bool) { yield(0, nil) }, func(buf []byte, _ int) error {
		seen = buf
		copy(buf, "plaintext")
		return broken
	})
	if err != broken || string(seen) != string(make([]byte, 16)) {
		t.Errorf("got buffer %q, error %v", seen, err)
	}
}
