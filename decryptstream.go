package luksimg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/engine"
	"github.com/luksimg/luksimg/luks"
)

// DecryptStreamOptions say how [DecryptStream] is run. The zero value is right for an image
// that starts with its header, and a passphrase.
type DecryptStreamOptions struct {
	RunOptions

	// LUKS bounds what opening the header may cost, and what it accepts. With AllowTruncated
	// what is left of a sector at the end of the stream is left out.
	LUKS luks.OpenOptions

	// Header, if not nil, is the header of the image, which is detached: the stream has the
	// data alone.
	Header *luks.Header

	// VolumeKey, if not nil, gives the volume key, in place of the key that opens a key slot.
	// It is called when the header was read. What it returns is wiped.
	VolumeKey func(ctx context.Context, h *luks.Header) ([]byte, error)
}

// A StreamResult is what [DecryptStream] read.
type StreamResult struct {
	Header *luks.Header
	Size   int64 // of the plaintext, in bytes
}

// maxHead bounds how much of the start of a stream is kept, to find the key slots in it:
// twice what LUKS2 has room for.
const maxHead = 256 << 20

// DecryptStream reads a LUKS image from src in order, its header first, and writes the
// plaintext to dst as it comes, with all workers. key is a passphrase, or the content of a
// key file. It keeps no more than the header and a buffer for each worker in memory.
//
// A stream that ends early, within its header or within a sector, or before it has all the
// data that the header tells of, is [io.ErrUnexpectedEOF]; what was written by then is
// right, and not all. Most headers do not tell how long the data are: where such a stream
// is cut between two sectors, nobody can know. Bytes behind the data are not read.
//
// It does not stop while src gives nothing or dst takes nothing.
func DecryptStream(ctx context.Context, dst io.Writer, src io.Reader, key []byte, o DecryptStreamOptions) (*StreamResult, error) {
	r := &head{r: src}
	h := o.Header
	if h == nil {
		var err error
		if h, err = r.open(o.LUKS); err != nil {
			return nil, err
		}
	}
	get := o.VolumeKey
	if get == nil {
		get = func(ctx context.Context, h *luks.Header) ([]byte, error) {
			key, _, err := h.VolumeKey(ctx, key, luks.AnySlot)
			return key, err
		}
	}
	volumeKey, err := get(ctx, h)
	if err != nil {
		return nil, err
	}
	defer clear(volumeKey)
	v, err := h.Volume(ctx, nil, 0, volumeKey)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	data, err := r.from(h.DataOffset())
	if err != nil {
		return nil, err
	}
	job := engine.Decryption{Data: data, Volume: v, Length: h.DataSize(), Offset: h.DataOffset(), Sector: h.SectorSize(),
		Truncated: o.LUKS.AllowTruncated, Workers: o.workers()}
	size, err := job.WriteStream(ctx, dst)
	if err != nil {
		return nil, err
	}
	return &StreamResult{Header: h, Size: size}, nil
}

// A head is the start of a stream, as much of it as was asked for.
type head struct {
	r io.Reader
	b bytes.Buffer
}

// open reads a LUKS header.
func (h *head) open(o luks.OpenOptions) (*luks.Header, error) {
	// How long the file is is not known. No offset in a header comes near this.
	l, err := luks.Open(h, 1<<62, o)
	switch {
	case err == nil && l.DataOffset() == 0:
		return nil, ErrDetached
	case err == nil:
		return l, nil
	case h.b.Len() == 0 && errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("the stream is empty: %w", io.ErrUnexpectedEOF)
	case errors.Is(err, luks.ErrNotLUKS):
		b := h.b.Bytes()
		if format, e := Detect(bytes.NewReader(b), int64(len(b))); e == nil && format != Raw {
			return nil, fmt.Errorf("%w: a stream of %s, which needs seeking", image.ErrUnsupported, format)
		}
	}
	return nil, err
}

// ReadAt implements [io.ReaderAt].
func (h *head) ReadAt(p []byte, off int64) (int, error) {
	end := off + int64(len(p))
	if off < 0 || end > maxHead {
		return 0, fmt.Errorf("%w: %d bytes at %d of a stream, of which the first %d are kept", image.ErrUnsupported, len(p), off, maxHead)
	}
	if missing := end - int64(h.b.Len()); missing > 0 {
		if _, err := io.CopyN(&h.b, h.r, missing); err != nil && err != io.EOF {
			return 0, err
		}
	}
	n := 0
	if b := h.b.Bytes(); off < int64(len(b)) {
		n = copy(p, b[off:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// from returns the stream from an offset on.
func (h *head) from(off int64) (io.Reader, error) {
	kept := bytes.NewReader(h.b.Bytes())
	all := io.MultiReader(kept, h.r)
	n, err := io.CopyN(io.Discard, all, off)
	if err == io.EOF {
		err = fmt.Errorf("the stream ends at byte %d, before its data, which start at %d: %w", n, off, io.ErrUnexpectedEOF)
	}
	return all, err
}
