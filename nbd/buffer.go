package nbd

import "sync"

const (
	// pieceSize is the number of bytes that are read or written at a time. It fits the cache of a
	// core, and makes system calls cheap. Clients send requests of this size or larger.
	pieceSize = 256 << 10

	// headroom is the space in front of the data in a buffer, for the header of a reply. It aligns
	// the data to a cache line.
	headroom = 64

	bufferSize = headroom + pieceSize

	// reserveSize is the size of each connection's own buffer. Replies in a single piece need 64
	// KiB.
	reserveSize = headroom + 64<<10
)

// buffers holds the buffers that all connections share. They are allocated when they are needed,
// and the most recently used one is reused first.
type buffers struct {
	max int // maximum number of buffers

	mu   sync.Mutex
	made int
	free [][]byte
}

// get returns a buffer of bufferSize bytes, or nil if all are in use.
func (b *buffers) get() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.free); n > 0 {
		buf := b.free[n-1]
		b.free = b.free[:n-1]
		return buf
	}
	if b.made == b.max {
		return nil
	}
	b.made++
	return make([]byte, bufferSize)
}

func (b *buffers) put(buf []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = append(b.free, buf)
}

// wipe wipes and drops the free buffers, which held plaintext.
func (b *buffers) wipe() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, buf := range b.free {
		clear(buf)
	}
	b.made -= len(b.free)
	b.free = nil
}

// A lender provides buffers for the requests of one connection. If no shared buffer is free, a
// request waits for the connection's reserve. So no connection waits for another.
type lender struct {
	shared  *buffers
	mu      sync.Mutex // held while the reserve is in use
	reserve []byte
}

// get returns a buffer and the function that releases it.
func (l *lender) get() (buf []byte, put func()) {
	if buf := l.shared.get(); buf != nil {
		return buf, func() { l.shared.put(buf) }
	}
	l.mu.Lock()
	if l.reserve == nil {
		l.reserve = make([]byte, reserveSize)
	}
	return l.reserve, l.mu.Unlock
}
