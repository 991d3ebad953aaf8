package cos

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// StreamOptions are the settings of an upload of data as it is produced.
type StreamOptions struct {
	// Size is the length in bytes, or 0 if unknown. If set, exactly Size bytes must be written.
	Size int64
	// PartSize is in bytes, 5 MiB to 5 GiB. Zero means 8 MiB, or more if the size requires it.
	// Without a size, it doubles every thousand parts, up to 64 MiB.
	PartSize int64
	// Jobs is the number of parts sent concurrently. Zero means 2. One more part is being filled,
	// so that Jobs+1 parts are in memory.
	Jobs int
	// Progress, if not nil, is called with the number of additional bytes sent. It must not block.
	Progress func(n int64)
}

const streamPart = 8 << 20

// ErrAborted is the error of a [Writer] or a [Sink] after Abort.
var ErrAborted = errors.New("upload aborted")

// A Writer uploads sequentially written data. The object appears only when Close
// returns nil. It is not safe for concurrent use.
type Writer struct {
	s    *sender
	o    StreamOptions
	buf  []byte // the part being filled
	n    int    // number of bytes in it
	part int    // its number
	size int64  // bytes in earlier parts
	done bool
}

// NewWriter starts an upload of a stream. End it with Close or Abort. When ctx is
// done, the writer fails.
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

// sizeOf returns the size of a part in bytes.
func (w *Writer) sizeOf(part int) int64 {
	if w.s.partSize > 0 {
		return w.s.partSize
	}
	return streamPart << min((part-1)/1000, 3)
}

// Write implements [io.Writer]. It can return an error of an earlier write.
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

// ReadFrom implements [io.ReaderFrom]. It reads directly into the part buffers.
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

// room returns the free space of the current part, at least one byte. It sends a full part
// only when more data follows.
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
			return nil, fmt.Errorf("%v: more than %d parts: set the size or a larger part size", w.s.at, MaxParts)
		}
		w.buf = w.s.buffer(w.sizeOf(w.part))
	}
	if w.o.Size > 0 && w.size+int64(w.n) >= w.o.Size {
		// Room for one byte more, so that ReadFrom can find the end of its reader.
		if w.size+int64(w.n) > w.o.Size {
			return nil, fmt.Errorf("%v: more data than the announced %d bytes", w.s.at, w.o.Size)
		}
	}
	return w.buf[w.n:], nil
}

// flush sends the current part.
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

// Close sends the rest, waits, and completes the object. After any failure it aborts the
// upload.
func (w *Writer) Close() error {
	if w.done {
		return w.s.failure()
	}
	w.done = true
	size := w.size + int64(w.n)
	if w.o.Size > 0 && size != w.o.Size {
		w.s.fail(fmt.Errorf("%v: %d bytes were written, want %d", w.s.at, size, w.o.Size))
	}
	if w.s.failure() == nil {
		var err error
		switch {
		case w.s.id != "" && w.n > 0:
			err = w.flush()
		case w.s.id == "": // everything is in memory: one request suffices
			err = w.s.dispatch(0, w.buf[:w.n])
		}
		if err != nil {
			w.s.fail(err)
		}
	}
	return w.s.finish(size)
}

// Abort aborts the upload, so that nothing of it remains. After Close it does nothing.
func (w *Writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	return w.s.giveUp(ErrAborted)
}

// UploadStream uploads everything from r to an object, which appears atomically,
// and returns its length in bytes. [StreamOptions] bound its memory. It cannot be resumed.
func (c *Client) UploadStream(ctx context.Context, o Object, r io.Reader, opts StreamOptions) (int64, error) {
	w, err := c.NewWriter(ctx, o, opts)
	if err != nil {
		return 0, err
	}
	n, err := w.ReadFrom(r)
	if err != nil {
		if e := w.Abort(); e != nil {
			err = fmt.Errorf("%w; aborting the upload failed, so its parts remain: %v", err, e)
		}
		return n, err
	}
	return n, w.Close()
}
