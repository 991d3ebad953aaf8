package zstd

import (
	"io"
	"sync"
)

// Options control a [Reader].
type Options struct {
	// MaxWindow is the largest window that a frame can require, in bytes, up to 2 GiB.
	MaxWindow int64

	// Ahead makes a goroutine read and parse the input while Read executes parsed blocks.
	Ahead bool

	alloc func(n int) []byte // for tests
}

// A Reader decompresses consecutive frames. It is not safe for concurrent use.
type Reader struct {
	ahead  bool
	parser parser
	window window
	batch  *batch
	next   int // index of the next action
	err    error

	full, free chan *batch // used with Options.Ahead
	stop       chan struct{}
	wg         sync.WaitGroup
}

// batches is the number of batches if one goroutine parses and another one executes.
const batches = 4

// NewReader returns a Reader of r. The caller must call Close.
func NewReader(r io.Reader, o Options) *Reader {
	if o.alloc == nil {
		o.alloc = func(n int) []byte { return make([]byte, n) }
	}
	d := &Reader{ahead: o.Ahead}
	d.window.alloc, d.parser.alloc, d.parser.window = o.alloc, o.alloc, min(o.MaxWindow, 1<<31)
	d.parser.init()
	d.Reset(r)
	return d
}

// Reset restarts the reader with another input.
func (r *Reader) Reset(in io.Reader) {
	r.Close()
	r.parser.in.init(in, r.parser.alloc)
	r.parser.inside = false
	r.window.read, r.window.write, r.err, r.next = 0, 0, nil, 0
	if !r.ahead {
		if r.batch == nil {
			r.batch = new(batch)
		}
		r.batch.reset()
		return
	}
	r.batch = nil
	r.full, r.free, r.stop = make(chan *batch, batches), make(chan *batch, batches), make(chan struct{})
	for range batches {
		r.free <- new(batch)
	}
	r.wg.Go(r.parse)
}

// parse fills batches until the input ends.
func (r *Reader) parse() {
	for {
		select {
		case b := <-r.free:
			r.parser.batch(b)
			last := b.err != nil
			r.full <- b // the channel has space for all batches
			if last {
				return
			}
		case <-r.stop:
			return
		}
	}
}

// Read implements [io.Reader]. The data is verified only when Read returns io.EOF, after all checksums.
// Format errors match [ErrCorrupt], [ErrWindow], [ErrDictionary] or [io.ErrUnexpectedEOF]; others are
// those of the input.
func (r *Reader) Read(p []byte) (int, error) {
	w := &r.window
	for w.read == w.write && len(p) > 0 {
		if r.err == nil {
			r.err = r.step()
		}
		if r.err != nil {
			w.read, w.write = 0, 0
			return 0, r.err
		}
	}
	n := copy(p, w.buf[w.read:w.write])
	w.read += n
	return n, nil
}

// step executes the next action.
func (r *Reader) step() error {
	if r.batch == nil || r.next == len(r.batch.actions) {
		if r.batch != nil && r.batch.err != nil {
			return r.batch.err
		}
		r.next = 0
		if !r.ahead {
			r.parser.batch(r.batch)
			return nil
		}
		if r.batch != nil {
			r.free <- r.batch
		}
		r.batch = <-r.full
		return nil
	}
	a := &r.batch.actions[r.next]
	r.next++
	return located(r.window.do(a), a.off)
}

// Close closes the reader. It waits for a pending read of the input.
func (r *Reader) Close() error {
	if r.stop != nil {
		close(r.stop)
		r.wg.Wait()
		r.stop = nil
	}
	if r.err == nil {
		r.err = io.ErrClosedPipe
	}
	return nil
}
