package cos

import (
	"context"
	"fmt"
	"io"
	"sync"
)

// A Reader reads an object at offsets: it is an image.Source. All that it reads is of the
// object as it was when it was opened, or else the error matches [ErrChanged]. It is safe
// for concurrent use.
//
// Reads that are smaller than a megabyte fetch some more, and keep it: 16 MiB at most.
type Reader struct {
	c      *Client
	at     Object
	info   Info
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu     sync.Mutex
	blocks []*block // the one used last is at the end
}

const (
	blockSize   = 1 << 20
	cacheBlocks = 16
)

// A block is some of the object, or will be once somebody has done its once.
type block struct {
	index int64
	once  sync.Once
	b     []byte
	err   error
}

// Open asks for an object, and returns a reader that works until Close, or until ctx is
// done.
func (c *Client) Open(ctx context.Context, o Object) (*Reader, error) {
	info, err := c.Head(ctx, o)
	if err != nil {
		return nil, err
	}
	r := &Reader{c: c, at: o, info: info}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	return r, nil
}

// Size returns the length of the object in bytes.
func (r *Reader) Size() int64 { return r.info.Size }

// Info returns what the service said of the object.
func (r *Reader) Info() Info { return r.info }

// Close ends all reading.
func (r *Reader) Close() error {
	r.cancel(fmt.Errorf("%v: is closed", r.at))
	return nil
}

// ReadAt implements [io.ReaderAt].
func (r *Reader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("%v: read at %d", r.at, off)
	}
	want := p[:max(0, min(int64(len(p)), r.info.Size-min(off, r.info.Size)))]
	for n < len(want) {
		at := off + int64(n)
		if rest := want[n:]; len(rest) >= blockSize {
			k, err := r.fetch(rest, at)
			return n + k, or(err, len(want) < len(p))
		}
		b := r.block(at / blockSize)
		b.once.Do(func() {
			buf := make([]byte, min(blockSize, r.info.Size-b.index*blockSize))
			if _, b.err = r.fetch(buf, b.index*blockSize); b.err == nil {
				b.b = buf
			}
		})
		if b.err != nil {
			r.drop(b)
			return n, b.err
		}
		n += copy(want[n:], b.b[at%blockSize:])
	}
	return n, or(nil, len(want) < len(p))
}

// or returns err, or io.EOF at the end.
func or(err error, end bool) error {
	if err == nil && end {
		return io.EOF
	}
	return err
}

// block returns the place of a block, for its user to fill.
func (r *Reader) block(index int64) *block {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, b := range r.blocks {
		if b.index == index {
			copy(r.blocks[i:], r.blocks[i+1:])
			r.blocks[len(r.blocks)-1] = b
			return b
		}
	}
	if len(r.blocks) == cacheBlocks {
		copy(r.blocks, r.blocks[1:])
		r.blocks = r.blocks[:cacheBlocks-1]
	}
	b := &block{index: index}
	r.blocks = append(r.blocks, b)
	return b
}

// drop forgets a block that could not be read, so that the next one to ask tries again.
func (r *Reader) drop(b *block) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.blocks {
		if r.blocks[i] == b {
			r.blocks = append(r.blocks[:i], r.blocks[i+1:]...)
			return
		}
	}
}

func (r *Reader) fetch(p []byte, off int64) (int, error) {
	return r.c.fetch(r.ctx, r.at, r.info, off, int64(len(p)), func(b []byte, at int64) error {
		copy(p[at-off:], b)
		return nil
	})
}

// fetchBuffer is how much is read of the network at a time.
const fetchBuffer = 128 << 10

// forgiven is after how many bytes of a body a failure counts as the first one.
const forgiven = 1 << 20

// fetch reads a range of an object that has this ETag, and gives it to take in order, a
// buffer at a time. After a failure it goes on where it was.
func (c *Client) fetch(ctx context.Context, o Object, info Info, off, n int64, take func(b []byte, at int64) error) (int, error) {
	at, end := off, off+n
	buf := make([]byte, min(fetchBuffer, n))
	for {
		before := at
		err := c.retry(ctx, false, func() error {
			body, err := c.get(ctx, o, info.ETag, at, end, info.Size)
			if err != nil {
				return err
			}
			defer body.Close()
			for at < end {
				k, err := io.ReadFull(body, buf[:min(int64(len(buf)), end-at)])
				if k > 0 {
					if e := take(buf[:k], at); e != nil {
						return &permanentError{e}
					}
					at += int64(k)
				}
				if at < end && err != nil {
					if at-before >= forgiven {
						return &permanentError{errAgain} // with all attempts
					}
					if err == io.EOF {
						err = io.ErrUnexpectedEOF
					}
					return fmt.Errorf("GET %v: after %d of %d bytes: %w", o, at-off, n, err)
				}
			}
			return nil
		})
		if err == errAgain {
			if err := c.backoff(ctx, 1, 0); err != nil {
				return int(at - off), err
			}
			continue
		}
		return int(at - off), err
	}
}

var errAgain = fmt.Errorf("connection broke")
