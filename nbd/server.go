package nbd

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// A Server serves its exports to many clients. It is safe for concurrent use.
type Server struct {
	o       Options
	exports map[string]*Export
	order   []*Export
	buffers buffers

	mu    sync.Mutex
	conns int
}

// errLeft ends a server whose Options.Once is set.
var errLeft = errors.New("nbd: the last client is gone")

// grace is the time that clients have to receive their replies when the server ends.
const grace = 5 * time.Second

// Serve serves the clients of l until ctx is done, or, with Options.Once, until the last one has
// disconnected. It then answers the pending requests, makes all writes durable, and returns nil. It
// closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer context.AfterFunc(ctx, func() { l.Close() })()
	var conns sync.WaitGroup
	users := &users{once: s.o.Once, left: func() { end(errLeft) }}
	err := s.accept(ctx, l, func(nc net.Conn) {
		conns.Go(func() {
			defer s.release()
			s.serve(ctx, nc, users)
		})
	})
	end(err)
	l.Close()
	conns.Wait()
	s.buffers.wipe()
	return errors.Join(err, s.sync())
}

// accept passes connections to use until ctx is done. It closes those over the limit.
func (s *Server) accept(ctx context.Context, l net.Listener, use func(net.Conn)) error {
	for wait := time.Millisecond; ; {
		nc, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				nc.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			// Too many open files, or the client has disconnected: try again.
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			wait = min(2*wait, time.Second)
		case !s.acquire():
			nc.Close()
		default:
			wait = time.Millisecond
			use(nc)
		}
	}
}

// acquire counts a new connection. It returns false if there are too many.
func (s *Server) acquire() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns >= s.o.MaxConns {
		return false
	}
	s.conns++
	return true
}

func (s *Server) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns--
}

// sync makes the writes of all clients durable.
func (s *Server) sync() error {
	var errs []error
	for _, e := range s.order {
		if e.Target != nil {
			errs = append(errs, e.Target.Sync())
		}
	}
	return errors.Join(errs...)
}

// serve serves one client.
func (s *Server) serve(ctx context.Context, nc net.Conn, users *users) {
	defer nc.Close()
	// End reads immediately, but let the client receive its replies; see send.
	defer context.AfterFunc(ctx, func() {
		nc.SetReadDeadline(time.Unix(1, 0))
		nc.SetWriteDeadline(time.Now().Add(grace))
	})()
	if b, ok := nc.(interface{ SetWriteBuffer(int) error }); ok {
		b.SetWriteBuffer(4 << 20) // the system can grant less, which is only slower
	}
	h := newHandshake(s, nc)
	leave := func() {}
	h.enter = func() { leave = users.enter() }
	defer func() { leave() }()
	nc.SetDeadline(time.Now().Add(s.o.HandshakeTimeout))
	if ctx.Err() != nil {
		return
	}
	e, err := h.run(ctx)
	if err != nil || e == nil {
		return
	}
	defer h.nc.Close() // over TLS, this sends close_notify
	nc.SetDeadline(time.Time{})
	if ctx.Err() != nil {
		return
	}
	newSession(s, h, e).run(ctx)
}

// users counts the clients that use an export.
type users struct {
	once bool
	left func() // called when the last one disconnects, if once

	mu sync.Mutex
	n  int
}

// enter counts a client until the returned function is called.
func (u *users) enter() func() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.n++
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.n--; u.n == 0 && u.once {
			u.left()
		}
	}
}

// lookup returns the export with a name, or nil.
func (s *Server) lookup(name string) *Export {
	if e := s.exports[name]; e != nil || name != "" || len(s.order) > 1 {
		return e
	}
	return s.order[0]
}

// report calls Options.Report with an error of a source or a target.
func (s *Server) report(err error) {
	if s.o.Report != nil {
		s.o.Report(err)
	}
}
