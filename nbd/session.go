package nbd

import (
	"bufio"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/luksimg/luksimg/image"
)

const (
	// maxWorkers is the maximum number of concurrent requests of a connection.
	maxWorkers = 16

	// inlineSize is the maximum size of a request that the reading goroutine handles itself.
	// Handing over a smaller one costs more than it gains, unless the disk is slow.
	inlineSize = 32 << 10

	// outSize is the size of that goroutine's reply buffer. From sendSize on it is flushed, so that
	// the client can continue.
	outSize  = 64 << 10
	sendSize = 16 << 10
)

// A session is a connection that uses an export. One goroutine reads the requests. While the disk
// is fast, it handles small requests itself and sends their replies together when no request is
// waiting. Other requests have their own goroutines.
type session struct {
	s          *Server
	e          *Export
	nc         net.Conn
	r          *bufio.Reader
	structured bool
	status     bool // the client can request the block status
	flags      uint16
	holes      bool // the source reports its holes

	lender
	out     []byte // pending replies of the reading goroutine
	slots   chan struct{}
	workers sync.WaitGroup
	slow    atomic.Int32 // grows while the disk is slow

	sending  sync.Mutex
	deadline time.Time // write deadline of the connection
}

func newSession(s *Server, h *handshake, e *Export) *session {
	_, holes := e.Source.(image.Extenter)
	return &session{
		s: s, e: e, nc: h.nc, r: h.r,
		structured: h.structured, status: h.meta == e, flags: e.transmissionFlags(h.structured), holes: holes,
		lender: lender{shared: &s.buffers},
		out:    make([]byte, 0, outSize),
		slots:  make(chan struct{}, maxWorkers),
	}
}

// run answers requests until the client leaves or ctx is done.
func (c *session) run(ctx context.Context) {
	for ctx.Err() == nil {
		q, err := c.next(ctx)
		if err != nil || q.command == cmdDisconnect {
			break
		}
		if err := c.answer(ctx, q); err != nil {
			break
		}
	}
	c.flush(ctx)
	c.workers.Wait()
	clear(c.out[:cap(c.out)])
	clear(c.reserve)
}

// next reads a request. Before it waits, it sends the pending replies.
func (c *session) next(ctx context.Context) (q request, err error) {
	if c.r.Buffered() < requestSize || len(c.out) >= sendSize {
		if err := c.flush(ctx); err != nil {
			return q, err
		}
	}
	b, err := c.r.Peek(requestSize)
	if err != nil {
		return q, err
	}
	if q, err = parseRequest(b); err == nil {
		_, err = c.r.Discard(requestSize)
	}
	return q, err
}

// answer answers a request, possibly in another goroutine. An error ends the session.
func (c *session) answer(ctx context.Context, q request) error {
	if refused := c.check(q); refused != nil {
		return c.refuse(ctx, q, refused)
	}
	small := q.length <= inlineSize && !c.isSlow()
	switch q.command {
	case cmdRead:
		if small {
			return c.readInline(ctx, q)
		}
		return c.spawn(ctx, func() { c.read(ctx, q) })
	case cmdWrite:
		if small && q.flags&cmdFlagFUA == 0 {
			return c.writeInline(ctx, q)
		}
		return c.write(ctx, q)
	case cmdBlockStatus:
		return c.spawn(ctx, func() { c.blockStatus(ctx, q) })
	}
	return c.spawn(ctx, func() { c.change(ctx, q) })
}

// refuse answers a request with an error and skips its data.
func (c *session) refuse(ctx context.Context, q request, err error) error {
	if q.command == cmdWrite {
		if q.length > maxRequest {
			return errClient
		}
		if err := c.flush(ctx); err != nil {
			return err
		}
		if _, err := c.r.Discard(int(q.length)); err != nil {
			return err
		}
	}
	return c.add(ctx, c.errorReply(q, err))
}

// spawn calls f in a goroutine, after waiting for a free slot.
func (c *session) spawn(ctx context.Context, f func()) error {
	if err := c.slot(ctx); err != nil {
		return err
	}
	c.work(f)
	return nil
}

// slot waits for a free goroutine. Call it before getting a buffer: a goroutine can wait for a
// buffer, but not the reverse.
func (c *session) slot(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	default:
	}
	err := c.flush(ctx)
	if err == nil {
		c.slots <- struct{}{}
	}
	return err
}

// work calls f in the goroutine that slot reserved.
func (c *session) work(f func()) {
	c.workers.Go(func() {
		defer func() { <-c.slots }()
		f()
	})
}

// timed records how long the disk took for n bytes. If the disk is slow repeatedly, requests no
// longer wait for each other. A single slow request can be due to a busy CPU.
func (c *session) timed(start time.Time, n int) {
	const slow, most = 8, 64
	if time.Since(start) > 50*time.Microsecond+time.Duration(n) {
		if c.slow.Load() < most {
			c.slow.Add(slow)
		}
	} else if c.slow.Load() > 0 {
		c.slow.Add(-1)
	}
}

// isSlow reports whether two recent requests were slow.
func (c *session) isSlow() bool { return c.slow.Load() > 12 }

// readAt fills p from the disk.
func (c *session) readAt(p []byte, off uint64) error {
	start := time.Now()
	_, err := image.ReadFull(c.e.Source, p, int64(off))
	c.timed(start, len(p))
	if err != nil {
		c.s.report(err)
	}
	return err
}
