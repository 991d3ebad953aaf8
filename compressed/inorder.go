package compressed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// chunkSize is the number of bytes that an [InOrder] reads at a time, and chunks the number of chunks
// that it keeps. Concurrent reads of a job's workers are within that range.
const (
	chunkSize = 1 << 20
	chunks    = 24
)

// An InOrder is an image.Source of the output of a reader. It is for jobs that read the source roughly
// in order from several goroutines: it keeps recent chunks. A read before those restarts the reader,
// which is correct but slow. Except for Close, its methods are safe for concurrent use.
type InOrder struct {
	// Check, if not nil, is called with the last bytes of the source, at most 512, before they can be
	// read. The read returns its error.
	Check func(tail []byte) error

	open func(context.Context) (io.ReadCloser, error)
	size int64
	most int // number of chunks to keep

	mu     sync.Mutex
	cond   sync.Cond // signals changes of the fields below
	run    *run      // nil before the first read
	closed bool
	starts int
}

var errClosed = errors.New("the compressed file is closed")

// A run is one pass of a reader over the data.
type run struct {
	cancel context.CancelFunc
	done   chan struct{} // closed at the end of the run
	base   int64         // number of the first kept chunk
	kept   []*chunk
	want   int64 // number of the last requested chunk
	err    error // error after the last chunk
	over   bool  // the run is stopped
	free   []*chunk
}

// A chunk has chunkSize bytes, fewer at the end.
type chunk struct {
	b     []byte
	users int
	read  int // number of bytes read so far
}

// NewInOrder returns a source of the size bytes that each reader from open returns. The context of open
// is done when the reader is no longer needed; Read must return soon after. If a reader returns more or
// fewer bytes, the error is [ErrCorrupt].
func NewInOrder(size int64, open func(context.Context) (io.ReadCloser, error)) *InOrder {
	return newInOrder(size, chunks, open)
}

func newInOrder(size int64, most int, open func(context.Context) (io.ReadCloser, error)) *InOrder {
	s := &InOrder{open: open, size: size, most: most}
	s.cond.L = &s.mu
	return s
}

// Size returns the length in bytes.
func (s *InOrder) Size() int64 { return s.size }

// Group implements [image.Grouper]: any worker can read any chunk.
func (s *InOrder) Group(off int64) (start, end int64) {
	start = off - off%chunkSize
	return start, min(start+chunkSize, s.size)
}

// Starts returns the number of times that a reader was started.
func (s *InOrder) Starts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.starts
}

// Close stops the reader, if it runs, and waits for its end.
func (s *InOrder) Close() error {
	s.mu.Lock()
	s.closed = true
	r := s.run
	s.stop()
	s.mu.Unlock()
	if r != nil {
		<-r.done
	}
	return nil
}

// stop stops the run.
func (s *InOrder) stop() {
	if s.run != nil {
		s.run.over = true
		s.run.cancel()
		s.run = nil
	}
	s.cond.Broadcast()
}

// ReadAt implements [io.ReaderAt].
func (s *InOrder) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("read at a negative offset")
	}
	want := p[:max(0, min(int64(len(p)), s.size-off))]
	for n < len(want) {
		k, err := s.readChunk(want[n:], off+int64(n))
		n += k
		if err != nil {
			return n, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readChunk reads from one chunk and waits until it is available.
func (s *InOrder) readChunk(p []byte, off int64) (int, error) {
	number := off / chunkSize
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.closed {
			return 0, errClosed
		}
		r := s.run
		if r == nil || number < r.base {
			s.start()
			continue
		}
		if i := number - r.base; i < int64(len(r.kept)) {
			c := r.kept[i]
			c.users++
			s.mu.Unlock()
			n := copy(p, c.b[off%chunkSize:])
			s.mu.Lock()
			c.users--
			if c.read += n; c.read >= len(c.b) || c.users == 0 {
				s.cond.Broadcast()
			}
			return n, nil
		}
		if r.err != nil {
			return 0, r.err
		}
		if number > r.want {
			r.want = number
			s.cond.Broadcast()
		}
		s.cond.Wait()
	}
}

// start starts a run.
func (s *InOrder) start() {
	s.stop()
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{cancel: cancel, done: make(chan struct{}), want: -1}
	s.run = r
	s.starts++
	go func() {
		defer close(r.done)
		defer cancel()
		err := s.produce(ctx, r)
		s.mu.Lock()
		defer s.mu.Unlock()
		r.err = err
		s.cond.Broadcast()
	}()
}

// produce reads chunk after chunk. It always returns an error.
func (s *InOrder) produce(ctx context.Context, r *run) error {
	p, err := s.pass(ctx)
	if err != nil {
		return err
	}
	defer p.in.Close()
	for p.off < s.size {
		c := s.room(r)
		if c == nil {
			return context.Canceled
		}
		c.read = 0
		if c.b, _, err = p.next(c.b); err != nil {
			return err
		}
		if !s.keep(r, c) {
			return context.Canceled
		}
	}
	return io.ErrUnexpectedEOF // nobody reads past the end
}

// keep appends a chunk to the run. It returns false if the run is stopped.
func (s *InOrder) keep(r *run, c *chunk) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.over {
		return false
	}
	r.kept = append(r.kept, c)
	s.cond.Broadcast()
	return true
}

// A pass reads a whole source once. The owner closes in.
type pass struct {
	s   *InOrder
	in  io.ReadCloser
	off int64 // offset of the next part
}

func (s *InOrder) pass(ctx context.Context) (*pass, error) {
	in, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	return &pass{s: s, in: in}, nil
}

// next fills b with the next part and returns its offset. Only the last part can be shorter than b. The
// last part is returned after everything that follows it was verified.
func (p *pass) next(b []byte) (part []byte, off int64, err error) {
	off, size := p.off, p.s.size
	b = b[:min(int64(len(b)), size-off)]
	n, err := io.ReadFull(p.in, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, 0, fmt.Errorf("%w: the data end after %d of %d bytes", ErrCorrupt, off+int64(n), size)
	}
	if p.off += int64(n); err == nil && p.off == size {
		err = p.s.end(p.in, b)
	}
	if err != nil {
		return nil, 0, err
	}
	return b, off, nil
}

// end checks that the reader is at its end. That verifies the last checksums.
func (s *InOrder) end(in io.Reader, last []byte) error {
	var b [1]byte
	switch n, err := io.ReadFull(in, b[:]); {
	case n > 0:
		return fmt.Errorf("%w: there are data after the expected %d bytes", ErrCorrupt, s.size)
	case err != io.EOF:
		return err
	}
	if s.Check != nil {
		return s.Check(last[max(0, len(last)-tailSize):])
	}
	return nil
}

// room returns a chunk to fill when there is room. The oldest chunk is dropped when all of it was read,
// or when somebody waits for a chunk after the last one. It returns nil if the run is stopped.
func (s *InOrder) room(r *run) *chunk {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !r.over {
		if len(r.kept) < s.most {
			if n := len(r.free); n > 0 {
				c := r.free[n-1]
				r.free = r.free[:n-1]
				return c
			}
			return &chunk{b: make([]byte, chunkSize)}
		}
		next := r.base + int64(len(r.kept))
		if c := r.kept[0]; c.users == 0 && (c.read >= len(c.b) || r.want >= next) {
			copy(r.kept, r.kept[1:])
			r.kept = r.kept[:len(r.kept)-1]
			r.base++
			c.b = c.b[:cap(c.b)]
			r.free = append(r.free, c)
			continue
		}
		s.cond.Wait()
	}
	return nil
}
