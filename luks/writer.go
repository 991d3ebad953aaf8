package luks

import (
	"context"
	"errors"
	"io"
)

// A Writer encrypts a stream: what is written to it is plaintext, what it writes
// is a LUKS image. It is not safe for concurrent use.
type Writer struct {
	w   io.Writer
	v   *Volume
	buf []byte // whole sectors are encrypted here; of fixed capacity
	off int64  // in the volume, of buf
	err error  // sticky
}

// writerBuffer is how much is encrypted at a time, a multiple of every sector size.
const writerBuffer = 256 << 10

// NewWriter makes a header with a key slot for passphrase, as [New] does, writes
// it to w, and returns a Writer of the data behind it.
func NewWriter(ctx context.Context, w io.Writer, passphrase []byte, o Options) (*Writer, error) {
	h, key, err := New(ctx, passphrase, o)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	v, err := h.volume(nil, 0, key)
	if err != nil {
		return nil, err
	}
	if _, err := h.WriteTo(w); err != nil {
		v.Close()
		return nil, err
	}
	return &Writer{w: w, v: v, buf: make([]byte, 0, writerBuffer)}, nil
}

// Write encrypts p. What does not fill a sector waits for more, or for Close.
// After an error every call returns it.
func (w *Writer) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) && w.err == nil {
		n := copy(w.buf[len(w.buf):cap(w.buf)], p[done:])
		w.buf = w.buf[:len(w.buf)+n]
		done += n
		if len(w.buf) == cap(w.buf) {
			w.flush()
		}
	}
	return done, w.err
}

// flush encrypts and writes all of buf, which holds whole sectors.
func (w *Writer) flush() {
	w.v.EncryptSectors(w.buf, w.buf, w.off)
	if _, err := w.w.Write(w.buf); err != nil {
		w.err = err
		return
	}
	w.off += int64(len(w.buf))
	w.buf = w.buf[:0]
}

// Close writes what is left, the last sector filled up with zeros, and wipes the
// key. It does not close the underlying writer. An image is whole only if Close
// returned nil.
func (w *Writer) Close() error {
	if w.v == nil {
		return nil
	}
	if w.err == nil && len(w.buf) > 0 {
		end := int(roundUp(int64(len(w.buf)), int64(w.v.cipher.SectorSize())))
		clear(w.buf[len(w.buf):end])
		w.buf = w.buf[:end]
		w.flush()
	}
	err := w.err
	if w.err == nil {
		w.err = errors.New("luks: write to a closed Writer")
	}
	clear(w.buf[:cap(w.buf)])
	w.v.Close()
	w.v = nil
	return err
}
