package cos

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// StreamOptions say how an object is uploaded that is still being made.
type StreamOptions struct {
	// Size is the length in bytes, if it is known and not 0. What is written must have it.
	Size int64
	// PartSize in bytes, 5 MiB to 5 GiB. The default is 8 MiB, or more if the size needs it;
	// without a size, it doubles every thousand parts, up to 64 MiB.
	PartSize int64
	// Jobs is how many parts are sent at a time. The default is 2. One more is being filled,
	// so that Jobs+1 parts are in memory.
	Jobs int
	// Progress, if not nil, is called with how many bytes more were sent. It must not block.
	Progress func(n int64)
}

const streamPart = 8 << 20

// ErrAborted is what a [Writer] or a [Sink] returns after Abort.
var ErrAborted = errors.New("upload aborted")

// A Writer uploads what is written to it, in order. Nothing is there before Close has
// returned nil. It is not safe for concurrent use.
type Writer struct {
	s    *sender
	o    StreamOptions
	buf  []byte // the part being filled
	n    int    // how much of it is
	part int    // its number
	size int64  // written before it
	done bool
}

// NewWriter begins an upload of unknown contents. End it with Close or Abort. When ctx is
// done it fails.
func (c *Client) NewWriter(ctx context.Context, o Object, opts StreamOptions) (*Writer, error) {
	s, err := c.newSender(ctx, o, opts.Jobs, opts.Progress)
	if err != nil {
		return nil, err
	}
	p, err := choosePart(max(opts.Size, 0), opts.PartSize, streamPart)
	if err != nil {
		return nil, err
	}
	if opts.Size > 0 || opts.PartSize > 0 {
		s.partSize = p
	}
	return &Writer{s: s, o: opts, part: 1}, nil
}

// sizeOf returns the size of a part.
func (w *Writer) sizeOf(part int) int64 {
	if w.s.partSize > 0 {
		return w.s.partSize
	}
	return streamPart << min((part-1)/1000, 3)
}

// Write implements [io.Writer]. It may return an error of what was written before.
func (w *Writer) Write(p []byte) (n int, err error) {
	for n < len(p) {
		b, err := w.room()
		if err != nil {
			return n, err
		}
		k := copy(b, p[n:])
		w.n += k
		n += k
	}
	return n, nil
}

// ReadFrom implements [io.ReaderFrom], without a buffer between.
func (w *Writer) ReadFrom(r io.Reader) (n int64, err error) {
	for empty := 0; ; {
		b, err := w.room()
		if err != nil {
			return n, err
		}
		k, err := r.Read(b)
		w.n += k
		n += int64(k)
		switch {
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		}
		if empty++; k > 0 {
			empty = 0
		} else if empty == 100 {
			return n, io.ErrNoProgress
		}
	}
}

// room returns what is free of the part being filled, at least a byte. A full part is sent
// only when there is more.
func (w *Writer) room() ([]byte, error) {
	if w.done {
		return nil, ErrAborted
	}
	if err := w.s.failure(); err != nil {
		return nil, err
	}
	if w.buf != nil && w.n == len(w.buf) {
		if err := w.flush(); err != nil {
			return nil, err
		}
	}
	if w.buf == nil {
		if w.part > MaxParts {
			return nil, fmt.Errorf("%v: more than %d parts: tell the size, or larger parts", w.s.at, MaxParts)
		}
		w.buf = w.s.buffer(w.sizeOf(w.part))
	}
	if w.o.Size > 0 && w.size+int64(w.n) >= w.o.Size {
		// A byte more is an error, which a reader is asked for to see its end.
		if w.size+int64(w.n) > w.o.Size {
			return nil, fmt.Errorf("%v: more than the %d bytes that were announced", w.s.at, w.o.Size)
		}
	}
	return w.buf[w.n:], nil
}

// flush sends the part being filled.
func (w *Writer) flush() error {
	if w.s.id == "" {
		if err := w.s.start(w.s.ctx); err != nil {
			w.s.fail(err)
			return err
		}
	}
	b := w.buf[:w.n]
	w.size += int64(w.n)
	w.buf, w.n = nil, 0
	w.part++
	return w.s.dispatch(w.part-1, b)
}

// Close sends the rest, waits, and makes the object of it. If anything failed nothing is
// left of it.
func (w *Writer) Close() error {
	if w.done {
		return w.s.failure()
	}
	w.done = true
	size := w.size + int64(w.n)
	if w.o.Size > 0 && size != w.o.Size {
		w.s.fail(fmt.Errorf("%v: %d bytes were written, and %d announced", w.s.at, size, w.o.Size))
	}
	if w.s.failure() == nil {
		var err error
		switch {
		case w.s.id != "" && w.n > 0:
			err = w.flush()
		case w.s.id == "": // all of it is in memory: one request will do
			err = w.s.dispatch(0, w.buf[:w.n])
		}
		if err != nil {
			w.s.fail(err)
		}
	}
	return w.s.finish(size)
}

// Abort gives the upload up, so that nothing is left of it. After Close it does nothing.
func (w *Writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	return w.s.giveUp(ErrAborted)
}

// UploadStream sends all that r gives to an object, which appears as a whole or not at all,
// and returns its length. Memory is bounded as [StreamOptions] say. It cannot be resumed.
func (c *Client) UploadStream(ctx context.Context, o Object, r io.Reader, opts StreamOptions) (int64, error) {
	w, err := c.NewWriter(ctx, o, opts)
	if err != nil {
		return 0, err
	}
	n, err := w.ReadFrom(r)
	if err != nil {
		if e := w.Abort(); e != nil {
			err = fmt.Errorf("%w; and what was uploaded is still there: %v", err, e)
		}
		return n, err
	}
	return n, w.Close()
}
