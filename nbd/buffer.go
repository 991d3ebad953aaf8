package nbd

import "sync"

const (
	// pieceSize is how much is read or written at a time: it fits the cache of a core, and system
	// calls cost little. Clients send requests of this length, or larger ones.
	pieceSize = 256 << 10

	// headroom is in front of the data in a buffer, for what a reply has before them. Data then
	// begin at a line of the cache.
	headroom = 64

	bufferSize = headroom + pieceSize

	// reserveSize is what each connection has for itself. Replies in a single piece must have room
	// for 64 KiB.
	reserveSize = headroom + 64<<10
)

// buffers are those that all connections share. They are made as they are needed, and the one
// that was used last is used next.
type buffers struct {
	max int // how many there may be

	mu   sync.Mutex
	made int
	free [][]byte
}

// get returns a buffer of bufferSize bytes, nil if all are in use.
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

// wipe wipes and forgets the buffers that are not in use: they held plaintext.
func (b *buffers) wipe() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, buf := range b.free {
		clear(buf)
	}
	b.made -= len(b.free)
	b.free = nil
}

// A lender gives buffers to the requests of one connection: shared ones, or if there is none its
// reserve, for which they wait. So no connection waits for another.
type lender struct {
	shared  *buffers
	mu      sync.Mutex // is held while the reserve is in use
	reserve []byte
}

// get returns a buffer, and what gives it back.
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
