package compressed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// chunkSize is how much an [InOrder] reads at a time, and chunks how many of those it keeps: what
// workers of a job want at the same time lies within.
const (
	chunkSize = 1 << 20
	chunks    = 24
)

// An InOrder is what a reader gives, as an image.Source for jobs that read all of it, roughly in order,
// from several goroutines: what was read is kept for a while. What is wanted of before that has the
// reader start anew, which is right, and slow. It is safe for concurrent use, but for Close.
type InOrder struct {
	// Check, if not nil, is given the last bytes of all, up to 512, before they can be read. Its error
	// is that of the read.
	Check func(tail []byte) error

	open func(context.Context) (io.ReadCloser, error)
	size int64
	most int // chunks to keep

	mu     sync.Mutex
	cond   sync.Cond // something below has changed
	run    *run      // nil before the first read
	closed bool
	starts int
}

var errClosed = errors.New("the compressed file is closed")

// A run is one pass of a reader.
type run struct {
	cancel context.CancelFunc
	done   chan struct{} // it has ended
	base   int64         // number of the first chunk that is kept
	kept   []*chunk
	want   int64 // number of the last chunk that somebody waits for
	err    error // of what is behind the last chunk
	over   bool  // it is stopped
	free   []*chunk
}

// A chunk is chunkSize bytes, or fewer at the end.
type chunk struct {
	b     []byte
	users int
	read  int // how many bytes of it were read so far
}

// NewInOrder returns a source of the size bytes that each reader of open gives. Its context is done when
// the reader is not needed any more, and Read must return soon after. A reader that gives more or fewer
// bytes is [ErrCorrupt].
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

// Group implements [image.Grouper]: any worker may read any chunk.
func (s *InOrder) Group(off int64) (start, end int64) {
	start = off - off%chunkSize
	return start, min(start+chunkSize, s.size)
}

// Starts returns how often a reader was started.
func (s *InOrder) Starts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.starts
}

// Close ends the reader, if there is one, and waits for that.
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

// stop ends the run.
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

// readChunk reads of one chunk, which it waits for.
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

// start begins a run.
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

// produce reads chunk after chunk. It returns an error in any case.
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

// keep has a chunk be read. It is false when the run is stopped.
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

// A pass reads all of a source once. Whoever has it closes in.
type pass struct {
	s   *InOrder
	in  io.ReadCloser
	off int64 // of the next part
}

func (s *InOrder) pass(ctx context.Context) (*pass, error) {
	in, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	return &pass{s: s, in: in}, nil
}

// next fills b with the next part, which may be shorter at the end only, and tells its offset. The last part comes
// when all that follows it was checked. There is none behind it.
func (p *pass) next(b []byte) (part []byte, off int64, err error) {
	off, size := p.off, p.s.size
	b = b[:min(int64(len(b)), size-off)]
	n, err := io.ReadFull(p.in, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, 0, fmt.Errorf("%w: it ends after %d of %d bytes", ErrCorrupt, off+int64(n), size)
	}
	if p.off += int64(n); err == nil && p.off == size {
		err = p.s.end(p.in, b)
	}
	if err != nil {
		return nil, 0, err
	}
	return b, off, nil
}

// end checks that the reader ends, which is where it finds what does not fit its checksums.
func (s *InOrder) end(in io.Reader, last []byte) error {
	var b [1]byte
	switch n, err := io.ReadFull(in, b[:]); {
	case n > 0:
		return fmt.Errorf("%w: it goes on after its %d bytes", ErrCorrupt, s.size)
	case err != io.EOF:
		return err
	}
	if s.Check != nil {
		return s.Check(last[max(0, len(last)-tailSize):])
	}
	return nil
}

// room returns a chunk to fill, when there is one: the oldest goes when all of it was read, or when
// somebody waits for what is behind the last one. It returns nil when the run is stopped.
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
