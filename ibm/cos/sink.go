package cos

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
)

// SinkOptions say how [Client.NewSink] works.
type SinkOptions struct {
	// PartSize in bytes, 5 MiB to 5 GiB. The default is 8 MiB, or more if the size needs it.
	PartSize int64
	// Jobs is how many parts are sent at a time. The default is 2.
	Jobs int
	// Open is how many parts may be written in part at a time. The default is 16. Together with
	// those being sent they are in memory.
	Open int
	// Gaps is for objects that have many small gaps, which nothing is ever written to. When
	// Open parts are incomplete the earliest of them is then taken as it is and sent, but for
	// the first part, where headers are that come last. A write to a part that was sent is an
	// error: what is written must be in order within Open less two parts.
	Gaps bool
	// Progress, if not nil, is called with how many bytes more were sent. It must not block.
	Progress func(n int64)
}

// A Sink is an object that is written at offsets, as an [io.WriterAt], by several
// goroutines, in about ascending order: each part is sent as soon as all of it has been
// written, and may not be written again then. The parts that are still incomplete are
// in memory; there may be a few, so that a header can be written last.
//
// What is never written is zeros, as in a file with holes.
type Sink struct {
	s        *sender
	size     int64
	partSize int64
	limit    int
	gaps     bool

	mu   sync.Mutex
	open map[int64]*openPart // by index: number less one
	gone map[int64]bool      // sent, or on its way
	done bool

	begin sync.Once
}

// An openPart is one that has been written in part.
type openPart struct {
	b    []byte
	have []span // what was written: sorted, with gaps between
}

type span struct{ from, to int64 }

// add notes that a span was written, and reports whether all of the part has been.
func (p *openPart) add(s span) bool {
	i := 0
	for i < len(p.have) && p.have[i].to < s.from {
		i++
	}
	j := i
	for ; j < len(p.have) && p.have[j].from <= s.to; j++ {
		s = span{min(s.from, p.have[j].from), max(s.to, p.have[j].to)}
	}
	p.have = slices.Replace(p.have, i, j, s)
	return p.have[0] == span{0, int64(len(p.b))}
}

// NewSink begins an object of size bytes. End it with Close or Abort. When ctx is done
// it fails.
func (c *Client) NewSink(ctx context.Context, o Object, size int64, opts SinkOptions) (*Sink, error) {
	s, err := c.newSender(ctx, o, opts.Jobs, opts.Progress)
	if err != nil {
		return nil, err
	}
	p, err := choosePart(size, opts.PartSize, streamPart)
	if err != nil {
		return nil, err
	}
	s.partSize = p
	k := &Sink{s: s, size: size, partSize: p, limit: opts.Open, gaps: opts.Gaps, open: map[int64]*openPart{}, gone: map[int64]bool{}}
	if k.limit <= 0 {
		k.limit = 16
	}
	return k, nil
}

// Size returns the length of the object to be.
func (k *Sink) Size() int64 { return k.size }

// WriteAt implements [io.WriterAt]. It waits while too many parts are being sent, and may
// return an error of what was written before.
func (k *Sink) WriteAt(p []byte, off int64) (n int, err error) {
	if off < 0 || off > k.size || int64(len(p)) > k.size-off {
		return 0, fmt.Errorf("%v: write of %d bytes at %d of %d: %w", k.s.at, len(p), off, k.size, io.ErrShortWrite)
	}
	for n < len(p) {
		index := (off + int64(n)) / k.partSize
		from := (off + int64(n)) % k.partSize
		part := p[n:min(int64(len(p)), int64(n)+k.partSize-from)]
		ready, err := k.write(index, part, from)
		if err != nil {
			return n, err
		}
		n += len(part)
		for _, r := range ready {
			if err := k.send(r.index, r.b); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// A readyPart is to be sent.
type readyPart struct {
	index int64
	b     []byte
}

// write copies to one part, and returns what is to be sent now: the part if all of it has
// been written, and one that made room for it.
func (k *Sink) write(index int64, p []byte, from int64) (ready []readyPart, err error) {
	if err := k.s.failure(); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.done:
		return nil, ErrAborted
	case k.gone[index]:
		return nil, fmt.Errorf("%v: write at %d: that part has been sent", k.s.at, index*k.partSize+from)
	}
	part := k.open[index]
	if part == nil {
		if len(k.open) == k.limit && k.gaps {
			ready = k.early(index)
		}
		if len(k.open) == k.limit {
			return nil, fmt.Errorf("%v: write at %d: %d parts are incomplete already: write in ascending order", k.s.at, index*k.partSize+from, k.limit)
		}
		part = k.fresh(index)
		k.open[index] = part
	}
	// Under the lock: a copy of memory is nothing beside sending it.
	copy(part.b[from:], p)
	if part.add(span{from, from + int64(len(p))}) {
		ready = append(ready, k.take(index))
	}
	return ready, nil
}

// take takes an open part, to send it.
func (k *Sink) take(index int64) readyPart {
	part := k.open[index]
	delete(k.open, index)
	k.gone[index] = true
	return readyPart{index, part.b}
}

// early takes the earliest part but the first that is in front of a new one, if there is
// any.
func (k *Sink) early(index int64) []readyPart {
	first := index
	for i := range k.open {
		if i > 0 && i < first {
			first = i
		}
	}
	if first == index {
		return nil
	}
	return []readyPart{k.take(first)}
}

// fresh returns a part of zeros.
func (k *Sink) fresh(index int64) *openPart {
	b := k.s.buffer(min(k.partSize, k.size-index*k.partSize))
	clear(b)
	return &openPart{b: b}
}

// send sends a part, the first of all begins the upload.
func (k *Sink) send(index int64, b []byte) error {
	if k.size <= k.partSize {
		return k.s.dispatch(0, b)
	}
	k.begin.Do(func() {
		if err := k.s.start(k.s.ctx); err != nil {
			k.s.fail(err)
		}
	})
	if err := k.s.failure(); err != nil {
		return err
	}
	return k.s.dispatch(int(index)+1, b)
}

// Close sends what is left, waits, and makes the object of it. If anything failed nothing
// is left of it. No other call may be under way.
func (k *Sink) Close() error {
	k.mu.Lock()
	if k.done {
		k.mu.Unlock()
		return k.s.failure()
	}
	k.done = true
	k.mu.Unlock()
	for index := range max(partCount(k.size, k.partSize), 1) {
		if k.gone[index] {
			continue
		}
		part := k.open[index]
		if part == nil {
			part = k.fresh(index)
		}
		delete(k.open, index)
		if k.s.failure() != nil {
			break
		}
		if err := k.send(index, part.b); err != nil {
			k.s.fail(err)
		}
	}
	return k.s.finish(k.size)
}

// Abort gives the upload up, so that nothing is left of it. After Close it does nothing.
// No other call may be under way.
func (k *Sink) Abort() error {
	k.mu.Lock()
	if k.done {
		k.mu.Unlock()
		return nil
	}
	k.done = true
	k.mu.Unlock()
	return k.s.giveUp(ErrAborted)
}

var _ io.WriterAt = (*Sink)(nil)
