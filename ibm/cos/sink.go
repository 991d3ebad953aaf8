package cos

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
)

// SinkOptions are the settings of [Client.NewSink].
type SinkOptions struct {
	// PartSize is in bytes, 5 MiB to 5 GiB. Zero means 8 MiB, or more if the size requires it.
	PartSize int64
	// Jobs is the number of parts sent concurrently. Zero means 2.
	Jobs int
	// Open is the maximum number of partly written parts. Zero means 16. These parts and
	// the parts in flight are in memory.
	Open int
	// Gaps is for objects with many small gaps that are never written. When
	// Open parts are incomplete, the sink sends the earliest one except the first
	// part, which can hold headers that are written last. A write to a sent part is an
	// error. Writes must therefore be in order within Open-2 parts.
	Gaps bool
	// Progress, if not nil, is called with the number of additional bytes sent. It must not block.
	Progress func(n int64)
}

// A Sink is an [io.WriterAt] that uploads an object. Several goroutines can write in roughly
// ascending order. The sink sends each part when it is completely written. A part that was sent
// cannot be written again. Incomplete parts stay in memory. A few are allowed, so that a header
// can be written last.
//
// Ranges that are never written are zeros, as in a file with holes.
type Sink struct {
	s        *sender
	size     int64
	partSize int64
	limit    int
	gaps     bool

	mu   sync.Mutex
	open map[int64]*openPart // by index: part number - 1
	gone map[int64]bool      // sent or in flight
	done bool

	begin sync.Once
}

// An openPart is a partly written part.
type openPart struct {
	b    []byte
	have []span // written ranges: sorted, not adjacent
}

type span struct{ from, to int64 }

// add records a written span and reports whether the part is complete.
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

// NewSink starts an upload of an object of size bytes. End it with Close or Abort. When ctx is done,
// the sink fails.
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

// Size returns the final length of the object in bytes.
func (k *Sink) Size() int64 { return k.size }

// WriteAt implements [io.WriterAt]. It blocks while too many parts are in flight, and can
// return an error of an earlier write.
func (k *Sink) WriteAt(p []byte, off int64) (n int, err error) {
	if off < 0 || off > k.size || int64(len(p)) > k.size-off {
		return 0, fmt.Errorf("%v: write of %d bytes at offset %d exceeds the object of %d bytes: %w", k.s.at, len(p), off, k.size, io.ErrShortWrite)
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

// A readyPart is a part to send.
type readyPart struct {
	index int64
	b     []byte
}

// write copies p into one part and returns the parts to send: the part if it is complete,
// and one that must make room for it.
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
		return nil, fmt.Errorf("%v: write at %d: the part has already been sent", k.s.at, index*k.partSize+from)
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
	// Under the lock: the copy takes negligible time compared to sending.
	copy(part.b[from:], p)
	if part.add(span{from, from + int64(len(p))}) {
		ready = append(ready, k.take(index))
	}
	return ready, nil
}

// take removes an open part in order to send it.
func (k *Sink) take(index int64) readyPart {
	part := k.open[index]
	delete(k.open, index)
	k.gone[index] = true
	return readyPart{index, part.b}
}

// early returns the earliest part before index, except the first part, if one
// exists.
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

// fresh returns a zeroed part.
func (k *Sink) fresh(index int64) *openPart {
	b := k.s.buffer(min(k.partSize, k.size-index*k.partSize))
	clear(b)
	return &openPart{b: b}
}

// send sends a part. The first call starts the upload.
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

// Close sends the remaining parts, waits, and completes the object. After any failure it aborts
// the upload. It must not run concurrently with other calls.
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

// Abort aborts the upload, so that nothing of it remains. After Close it does nothing.
// It must not run concurrently with other calls.
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
