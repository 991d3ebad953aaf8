package fetch

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
)

// A Reader reads a file at offsets; it implements image.Source. It is safe for concurrent use.
//
// It caches at most 20 MiB of the file, including blocks in flight, in blocks of a megabyte. When
// the file is read sequentially, it reads up to 12 MiB ahead, with several concurrent requests.
// At most four other requests fetch the blocks that a caller waits for.
type Reader struct {
	name  string
	size  int64
	fetch Fetch

	ctx    context.Context
	cancel context.CancelCauseFunc
	under  sync.WaitGroup
	asked  chan struct{} // one slot per request that a caller waits for
	ahead  chan struct{} // one slot per read-ahead request

	mu     sync.Mutex
	change sync.Cond // signals that a block may have become free
	blocks []*block  // at most cacheBlocks; the most recently used is last
	free   [][]byte  // buffers of dropped blocks
}

// Fetch reads n bytes at off and passes them to take in order. Its errors are final.
type Fetch func(ctx context.Context, off, n int64, take func(b []byte, at int64) error) error

const (
	blockSize   = 1 << 20
	cacheBlocks = 20
	atOnce      = 4  // blocks that one call of ReadAt waits for
	aheadBlocks = 12 // maximum number read ahead
	perRequest  = 4  // blocks of one request
	requests    = 4  // of each kind
	near        = 4  // blocks; a read this close after an earlier one is sequential
)

// A block is a block of the file, filled or in flight.
type block struct {
	index int64
	buf   []byte
	done  chan struct{} // closed when buf is filled, or err is set
	err   error

	// The mutex of the reader guards the following fields.
	refs int  // number of goroutines that fill, await or copy it
	used bool // a caller requested it
	run  int  // number of sequential reads up to here
}

// NewReader returns a reader of a file of size bytes. Errors contain name. It works until
// Close, or until ctx is done.
func NewReader(ctx context.Context, name string, size int64, fetch Fetch) *Reader {
	r := &Reader{name: name, size: size, fetch: fetch, asked: make(chan struct{}, requests), ahead: make(chan struct{}, requests)}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	r.change.L = &r.mu
	context.AfterFunc(r.ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.change.Broadcast()
	})
	return r
}

// Size returns the length of the file in bytes.
func (r *Reader) Size() int64 { return r.size }

// Close cancels all reads, and returns when no request is in flight.
func (r *Reader) Close() error {
	r.mu.Lock() // no request starts after this
	r.cancel(fmt.Errorf("%s: the reader is closed", r.name))
	r.mu.Unlock()
	r.under.Wait()
	return nil
}

// ReadAt implements [io.ReaderAt].
func (r *Reader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("%s: read at invalid offset %d", r.name, off)
	}
	want := p[:max(0, min(int64(len(p)), r.size-min(off, r.size)))]
	for n < len(want) {
		at := off + int64(n)
		end := off + int64(len(want))
		if next := at/blockSize + atOnce; next <= (end-1)/blockSize { // a product could overflow
			end = next * blockSize
		}
		k, err := r.read(want[n:][:end-at], at)
		n += k
		if err != nil {
			return n, err
		}
	}
	if len(want) < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// read reads a range that spans at most atOnce blocks.
func (r *Reader) read(p []byte, off int64) (n int, err error) {
	blocks, err := r.take(off/blockSize, (off+int64(len(p))-1)/blockSize)
	if err != nil {
		return 0, err
	}
	defer r.release(blocks...)
	for _, b := range blocks {
		select {
		case <-b.done:
		case <-r.ctx.Done():
			return n, context.Cause(r.ctx)
		}
		if b.err != nil {
			return n, b.err
		}
		n += copy(p[n:], b.buf[(off+int64(n))%blockSize:])
	}
	return n, nil
}

// take returns the blocks from first to last, which the caller must release. It starts to fetch
// missing blocks and the read-ahead.
func (r *Reader) take(first, last int64) ([]*block, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if r.ctx.Err() != nil {
			return nil, context.Cause(r.ctx)
		}
		if r.room(first, last) {
			break
		}
		r.change.Wait() // for a block to be fetched or released
	}
	var blocks, missing []*block
	run := r.runTo(first)
	for i := first; i <= last; i++ {
		b := r.find(i)
		if b == nil {
			b = r.add(i)
			missing = append(missing, b)
		}
		if !b.used {
			b.used, b.run = true, run
		}
		b.refs++
		blocks = append(blocks, b)
	}
	for _, b := range blocks { // keep them longest
		i := slices.Index(r.blocks, b)
		r.blocks = append(slices.Delete(r.blocks, i, i+1), b)
	}
	r.send(missing, r.asked)
	r.readAhead(last, blocks[len(blocks)-1].run)
	return blocks, nil
}

// runTo returns the number of sequential reads that end at this block.
func (r *Reader) runTo(index int64) int {
	run := 0
	for _, b := range r.blocks {
		if b.used && b.index < index && b.index >= index-near {
			run = max(run, b.run+1)
		}
	}
	return run
}

// readAhead starts to fetch the blocks after last, in full-size requests.
func (r *Reader) readAhead(last int64, run int) {
	if run < 2 {
		return
	}
	all := (r.size-1)/blockSize + 1
	end := min(last+1+int64(min(2*run, aheadBlocks)), all)
	spare := func(b *block) bool { return b.used && (b.index < last-near || b.index > last) }
	for i := last + 1; i < end; {
		n := i
		for n < min(i+perRequest, end) && r.find(n) == nil {
			n++
		}
		switch {
		case n == i:
			i++
			continue
		case n < i+perRequest && n == end && end < all:
			return // until there is enough for a request
		}
		var blocks []*block
		for i < n && (len(r.blocks) < cacheBlocks || r.drop(spare)) {
			blocks = append(blocks, r.add(i))
			i++
		}
		r.send(blocks, r.ahead)
		if i < n {
			return
		}
	}
}

// room makes room for the missing blocks from first to last, and reports whether
// it succeeded.
func (r *Reader) room(first, last int64) bool {
	need := 0
	for i := first; i <= last; i++ {
		if r.find(i) == nil {
			need++
		}
	}
	for len(r.blocks)+need > cacheBlocks {
		if !r.drop(func(b *block) bool { return b.index < first || b.index > last }) {
			return false
		}
	}
	return true
}

// drop drops the least recently used block that is not referenced and satisfies may.
func (r *Reader) drop(may func(*block) bool) bool {
	i := slices.IndexFunc(r.blocks, func(b *block) bool { return b.refs == 0 && may(b) })
	if i < 0 {
		return false
	}
	r.remove(r.blocks[i])
	return true
}

// remove removes an unreferenced block.
func (r *Reader) remove(b *block) {
	if i := slices.Index(r.blocks, b); i >= 0 {
		r.blocks = slices.Delete(r.blocks, i, i+1)
		r.free = append(r.free, b.buf)
	}
}

// find returns the block with an index, or nil if it is missing or has failed.
func (r *Reader) find(index int64) *block {
	for _, b := range r.blocks {
		if b.index == index && b.err == nil {
			return b
		}
	}
	return nil
}

// add adds a block for the caller to fetch. There must be room for it.
func (r *Reader) add(index int64) *block {
	var buf []byte
	if n := len(r.free); n > 0 {
		buf, r.free = r.free[n-1], r.free[:n-1]
	} else {
		buf = make([]byte, min(blockSize, r.size))
	}
	b := &block{index: index, buf: buf[:min(blockSize, r.size-index*blockSize)], done: make(chan struct{}), refs: 1}
	r.blocks = append(r.blocks, b)
	return b
}

// release releases blocks.
func (r *Reader) release(blocks ...*block) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range blocks {
		if b.refs--; b.refs == 0 && b.err != nil {
			r.remove(b)
		}
	}
	r.change.Broadcast()
}

// send fetches blocks with as many requests as necessary.
func (r *Reader) send(blocks []*block, places chan struct{}) {
	for len(blocks) > 0 {
		n := 1
		for n < len(blocks) && n < perRequest && blocks[n].index == blocks[0].index+int64(n) {
			n++
		}
		part := blocks[:n]
		r.under.Go(func() { r.fill(part, places) })
		blocks = blocks[n:]
	}
}

// fill fetches consecutive blocks. Each block is available to readers as soon as it is
// complete.
func (r *Reader) fill(blocks []*block, places chan struct{}) {
	start := blocks[0].index * blockSize
	end := start
	for _, b := range blocks {
		end += int64(len(b.buf))
	}
	var err error
	select {
	case places <- struct{}{}:
		err = r.fetch(r.ctx, start, end-start, func(p []byte, at int64) error {
			for len(p) > 0 {
				b := blocks[0]
				n := copy(b.buf[at-b.index*blockSize:], p)
				p, at = p[n:], at+int64(n)
				if at == b.index*blockSize+int64(len(b.buf)) {
					close(b.done)
					r.release(b)
					blocks = blocks[1:]
				}
			}
			return nil
		})
		<-places
	case <-r.ctx.Done():
		err = context.Cause(r.ctx)
	}
	if err == nil && len(blocks) > 0 {
		err = fmt.Errorf("%s: %w", r.name, io.ErrUnexpectedEOF)
	}
	if len(blocks) == 0 {
		return
	}
	r.mu.Lock()
	for _, b := range blocks { // so that the next caller retries
		b.err = err
	}
	r.mu.Unlock()
	for _, b := range blocks {
		close(b.done)
	}
	r.release(blocks...)
}
