package luks

import (
	"context"
	"errors"
	"io"
	"sync"
)

// ErrReadOnly means that the reader of the image does not implement [io.WriterAt].
var ErrReadOnly = errors.New("luks: the image is open for reading only")

// chunks holds buffers for ciphertext, because WriteAt must not change its argument.
var chunks = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// WriteAt encrypts p to the volume at any offset and length; see [io.WriterAt]. The reader of the image
// must also be an io.WriterAt, else the error is [ErrReadOnly]. Nothing is written past the end. To
// write a part of a sector, WriteAt reads, changes and writes the whole sector. If the process is
// killed meanwhile, that sector can be lost, as on a disk at a power failure.
func (v *Volume) WriteAt(p []byte, off int64) (int, error) {
	w, ok := v.r.(io.WriterAt)
	switch {
	case !ok:
		return 0, ErrReadOnly
	case off < 0:
		return 0, errors.New("luks: negative offset")
	case off > v.size || int64(len(p)) > v.size-off:
		return 0, errors.New("luks: write past the end of the volume")
	}
	size := int64(v.cipher.SectorSize())
	done := 0
	for done < len(p) {
		at, rest := off+int64(done), p[done:]
		skip := at % size
		var n int
		var err error
		if skip == 0 && int64(len(rest)) >= size {
			n, err = v.writeWhole(w, rest[:int64(len(rest))-int64(len(rest))%size], at)
		} else {
			n, err = v.writePart(w, rest, at-skip, skip)
		}
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// writeWhole writes the whole sectors in p, at most as many as fit in a buffer.
func (v *Volume) writeWhole(w io.WriterAt, p []byte, off int64) (int, error) {
	buf := chunks.Get().(*[64 << 10]byte)
	defer chunks.Put(buf)
	p = p[:min(len(p), len(buf))]
	v.EncryptSectors(buf[:len(p)], p, off)
	v.partial.RLock()
	defer v.partial.RUnlock()
	return w.WriteAt(buf[:len(p)], v.offset+off)
}

// writePart writes the part of p for the sector at off, from skip on.
func (v *Volume) writePart(w io.WriterAt, p []byte, off, skip int64) (int, error) {
	buf := sectors.Get().(*[4096]byte)
	defer sectors.Put(buf)
	sector := buf[:v.cipher.SectorSize()]
	defer clear(sector)
	v.partial.Lock()
	defer v.partial.Unlock()
	if err := readFull(v.r, sector, v.offset+off); err != nil {
		return 0, err
	}
	v.DecryptSectors(sector, sector, off)
	n := copy(sector[skip:], p)
	v.EncryptSectors(sector, sector, off)
	if _, err := w.WriteAt(sector, v.offset+off); err != nil {
		return 0, err
	}
	return n, nil
}

// Format makes a new header with a key slot for passphrase, as [New] does. It writes the header to the
// start of f, a file or device of size bytes, and returns the volume after it. The volume
// reads as noise until it is written. The old content of f is lost.
func Format(ctx context.Context, f File, size int64, passphrase []byte, o Options) (*Volume, error) {
	h, key, err := New(ctx, passphrase, o)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	v, err := h.volume(f, size, key)
	if err != nil {
		return nil, err
	}
	// The gaps are overwritten too: they can contain an old header.
	_, err = h.WriteTo(io.NewOffsetWriter(f, 0))
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}
