package zstd

import (
	"io"
	"sync"
)

// Options say how a [Reader] works.
type Options struct {
	// MaxWindow is the largest window that a frame may ask for, in bytes, up to 2 GiB.
	MaxWindow int64

	// Ahead has a goroutine parse what follows while a Read executes what was parsed. It reads the input.
	Ahead bool

	alloc func(n int) []byte // of tests
}

// A Reader decompresses frames that follow each other. It is for one goroutine at a time.
type Reader struct {
	ahead  bool
	parser parser
	window window
	batch  *batch
	next   int // of its actions
	err    error

	full, free chan *batch // with ahead
	stop       chan struct{}
	wg         sync.WaitGroup
}

// batches is how many of them there are where one goroutine parses and another one executes.
const batches = 4

// NewReader returns a Reader of r. Close must be called.
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

// Reset begins anew with another input.
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
			r.full <- b // there is room for all
			if last {
				return
			}
		case <-r.stop:
			return
		}
	}
}

// Read implements [io.Reader]. What it gives is right only when io.EOF follows at the end: then all checksums were
// right. Errors of the format match [ErrCorrupt], [ErrWindow], [ErrDictionary] or [io.ErrUnexpectedEOF]; others are
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

// Close ends the reader. It waits for a read of the input that is under way.
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
