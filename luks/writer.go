package luks

import (
	"context"
	"errors"
	"io"
)

// A Writer encrypts a stream. It accepts plaintext and writes a LUKS image. It is not safe for
// concurrent use.
type Writer struct {
	w   io.Writer
	v   *Volume
	buf []byte // whole sectors to encrypt; its capacity is fixed
	off int64  // offset of buf in the volume
	err error  // sticky
}

// writerBuffer is the number of bytes encrypted at a time, a multiple of every sector size.
const writerBuffer = 256 << 10

// NewWriter makes a header with a key slot for passphrase, as [New] does, and writes it to w. It
// returns a Writer for the data.
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

// Write encrypts p. A partial sector is kept until it is full or the Writer is closed. After an error
// every call returns that error.
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

// flush encrypts and writes buf, which holds whole sectors.
func (w *Writer) flush() {
	w.v.EncryptSectors(w.buf, w.buf, w.off)
	if _, err := w.w.Write(w.buf); err != nil {
		w.err = err
		return
	}
	w.off += int64(len(w.buf))
	w.buf = w.buf[:0]
}

// Close writes the rest, with the last sector padded with zeros, and wipes the key. It does not close
// the underlying writer. An image is complete only if Close returned nil.
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
