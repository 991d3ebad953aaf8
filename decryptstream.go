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

// DecryptStreamOptions configure [DecryptStream]. The zero value suits an image that starts with its
// header and is opened with a passphrase.
type DecryptStreamOptions struct {
	RunOptions

	// LUKS bounds the cost of opening the header and sets what is accepted. With AllowTruncated, a
	// partial sector at the end of the stream is dropped.
	LUKS luks.OpenOptions

	// Header, if not nil, is the detached header of the image. The stream then has only the data.
	Header *luks.Header

	// VolumeKey, if not nil, returns the volume key, so that no key slot is opened. DecryptStream calls
	// it after reading the header and wipes what it returns.
	VolumeKey func(ctx context.Context, h *luks.Header) ([]byte, error)
}

// A StreamResult describes what [DecryptStream] read.
type StreamResult struct {
	Header *luks.Header
	Size   int64 // of the plaintext, in bytes
}

// maxHead bounds the start of a stream that is kept to read the key slots from. LUKS2 needs at most
// half of it.
const maxHead = 256 << 20

// DecryptStream reads a LUKS image from src in order and writes the plaintext to dst as it arrives,
// with all workers. key is a passphrase or the content of a key file. It keeps only the header and one
// buffer per worker in memory.
//
// A stream that ends within its header, within a sector, or before the data length of the header is
// [io.ErrUnexpectedEOF]. The plaintext written by then is correct but incomplete. Most headers give no
// data length; then a stream that is cut between two sectors cannot be detected. Bytes after the data
// are not read.
//
// DecryptStream cannot be cancelled while src or dst blocks.
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

// A head is the start of a stream. It is read on demand.
type head struct {
	r io.Reader
	b bytes.Buffer
}

// open opens the LUKS header.
func (h *head) open(o luks.OpenOptions) (*luks.Header, error) {
	// The length of the file is unknown. This bound is far above all offsets in a header.
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
			return nil, fmt.Errorf("%w: the stream is %s, which needs seeking", image.ErrUnsupported, format)
		}
	}
	return nil, err
}

// ReadAt implements [io.ReaderAt].
func (h *head) ReadAt(p []byte, off int64) (int, error) {
	end := off + int64(len(p))
	if off < 0 || end > maxHead {
		return 0, fmt.Errorf("%w: reading %d bytes at offset %d of a stream: only the first %d bytes are kept", image.ErrUnsupported, len(p), off, maxHead)
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
