package vhd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"sync"

	"github.com/luksimg/luksimg/image"
)

// A part is a block that may have data, or a stretch of a fixed disk, with its number
// among those.
type part struct {
	number int64
	index  int64
}

// parts yields the parts of the disk, of size bytes each, that have data as far as the
// extents of the source tell, and counts the others as done.
func (w *writer) parts(ctx context.Context, size int64) iter.Seq2[part, error] {
	return func(yield func(part, error) bool) {
		end := w.src.Size()
		next := part{}
		at := int64(0)    // of the extents
		known := int64(0) // what was counted, or will be
		for e, err := range image.ExtentsContext(ctx, w.src, 0, end) {
			if err == nil && e.Offset != at {
				err = fmt.Errorf("vhd: the source has an extent at %d, want one at %d", e.Offset, at)
			}
			if err != nil {
				yield(part{}, err)
				return
			}
			if at = e.End(); e.Kind != image.Data {
				continue
			}
			for i := max(next.index, e.Offset/size); i*size < e.End(); i++ {
				w.done(i*size - known)
				known = min((i+1)*size, end)
				if !yield(part{next.number, i}, nil) {
					return
				}
				next = part{next.number + 1, i + 1}
			}
		}
		if at != end {
			yield(part{}, fmt.Errorf("vhd: the source tells of its data up to byte %d of %d: %w", at, end, io.ErrUnexpectedEOF))
			return
		}
		w.done(end - known)
	}
}

// A queue lets workers have their turn in the order of the parts that they took,
// whatever the order in which they are ready. Each part that was taken must have its
// turn, or fail.
type queue struct {
	mu   sync.Mutex
	cond *sync.Cond
	next int64 // whose turn it is
	err  error
}

func newQueue() *queue {
	q := &queue{}
	q.cond = sync.NewCond(&q.mu)
	return q
}

// turn waits until all parts with lower numbers had their turn and calls f, unless it
// is to be skipped. It returns the error of f, or of a worker that failed.
func (q *queue) turn(number int64, skip bool, f func() error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.next != number && q.err == nil {
		q.cond.Wait()
	}
	if q.err == nil && !skip {
		q.err = f()
	}
	q.next++
	q.cond.Broadcast()
	return q.err
}

// fail ends all waiting, and returns err.
func (q *queue) fail(err error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
	}
	q.cond.Broadcast()
	return err
}

var zeros [4096]byte

func isZero(b []byte) bool {
	for len(b) > len(zeros) {
		if !bytes.Equal(b[:len(zeros)], zeros[:]) {
			return false
		}
		b = b[len(zeros):]
	}
	return bytes.Equal(b, zeros[:len(b)])
}
