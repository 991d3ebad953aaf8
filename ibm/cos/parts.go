package cos

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"sync"
)

// A Part describes one part of an upload.
type Part struct {
	Number int    // starting at 1
	Size   int64  // bytes
	ETag   string // from the service
	MD5    string // of the sent data, in hexadecimal
	// Proved reports whether the service is known to have stored the sent data: the ETag is the MD5 sum,
	// or another checksum matched. [Parts.Complete] reads back the parts that are not proved.
	Proved bool
}

// PartsOptions are the settings of [Client.BeginParts].
type PartsOptions struct {
	// Opaque marks the object as one whose ETag is not an MD5 sum. Buckets encrypted with some kinds of
	// keys have such ETags.
	Opaque bool
}

// Parts is a multipart upload that several processes or machines can share by its ID, sending parts
// in any order. All parts except the last have the same size. The service keeps the parts, and
// charges for them, until Complete or Abort. Parts is safe for concurrent use.
type Parts struct {
	c        *Client
	at       Object
	id       string
	size     int64
	partSize int64

	mu    sync.Mutex
	there map[int]part // the stored parts at the last refresh
}

// PartSize returns the part size in bytes for an object of size bytes: asked, if it is valid, or a
// suitable size if asked is 0. An object that is too large or needs too many parts is an error that
// matches [ErrTooLarge].
func PartSize(size, asked int64) (int64, error) { return choosePart(size, asked, defaultPart(size)) }

// BeginParts starts an upload of size bytes. The object appears on [Parts.Complete].
func (c *Client) BeginParts(ctx context.Context, o Object, size, partSize int64, opts PartsOptions) (*Parts, error) {
	if err := errors.Join(o.Check(), o.CheckImages()); err != nil {
		return nil, err
	}
	if _, err := choosePart(size, partSize, 0); err != nil {
		return nil, err
	}
	m := &multipart{c: c, at: o, partSize: partSize, marked: opts.Opaque}
	if err := m.start(ctx); err != nil {
		return nil, err
	}
	return &Parts{c: c, at: o, id: m.id, size: size, partSize: partSize}, nil
}

// ResumeParts returns an existing upload with the list of its stored parts. If the upload was
// completed, aborted or has expired, the error matches [fs.ErrNotExist].
func (c *Client) ResumeParts(ctx context.Context, o Object, id string, size, partSize int64) (*Parts, error) {
	if err := errors.Join(o.Check(), o.CheckImages()); err != nil {
		return nil, err
	}
	if _, err := choosePart(size, partSize, 0); err != nil {
		return nil, err
	}
	p := &Parts{c: c, at: o, id: id, size: size, partSize: partSize}
	return p, p.Refresh(ctx)
}

// ID returns the upload ID.
func (p *Parts) ID() string { return p.id }

// Refresh lists the stored parts again.
func (p *Parts) Refresh(ctx context.Context) error {
	there, err := p.c.listParts(ctx, p.at, p.id)
	if err != nil {
		return p.gone(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.there = there
	return nil
}

// gone wraps the error of a missing upload so that it matches [fs.ErrNotExist].
func (p *Parts) gone(err error) error {
	if isNoSuchUpload(err) {
		return fmt.Errorf("%v: the upload: %w: %w", p.at, fs.ErrNotExist, err)
	}
	return err
}

// Has compares want with the parts stored at the last refresh. same reports that they are equal,
// missing that no part has this number.
func (p *Parts) Has(want Part) (same, missing bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	has, ok := p.there[want.Number]
	return ok && has.etag == want.ETag && has.size == want.Size, !ok
}

// Send stores a part unless the service already has it; found reports whether it has. known is the
// result of an earlier Send for the part with this number, or the zero Part.
func (p *Parts) Send(ctx context.Context, number int, b []byte, known Part) (_ Part, found bool, err error) {
	n := partCount(p.size, p.partSize)
	if number < 1 || int64(number) > n || int64(len(b)) != min(p.partSize, p.size-int64(number-1)*p.partSize) {
		return Part{}, false, fmt.Errorf("%v: invalid part %d of %d bytes in an upload of %d bytes with parts of %d", p.at, number, len(b), p.size, p.partSize)
	}
	m := &multipart{c: p.c, at: p.at, id: p.id, partSize: p.partSize}
	m.tried = n == MaxParts // the test would replace the last part
	if known.ETag != "" {
		m.known = map[int]keptPart{number: {known.ETag, known.MD5}}
	}
	p.mu.Lock()
	there := map[int]part{number: p.there[number]}
	p.mu.Unlock()
	found, err = m.send(ctx, number, inMemory(b), 0, int64(len(b)), make([]byte, hashBuffer), there)
	if err != nil {
		return Part{}, false, p.gone(err)
	}
	sent := m.parts[number]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.there == nil {
		p.there = map[int]part{}
	}
	p.there[number] = part{number, sent.etag, sent.size}
	return Part{Number: number, Size: sent.size, ETag: sent.etag, MD5: sent.want(), Proved: sent.proved}, found, nil
}

// Complete assembles the object from all parts, in order, and checks that it exists, as
// [Client.Upload] does. If a stored part differs from the sent one, the error matches
// [ErrChecksum] or comes from the service.
func (p *Parts) Complete(ctx context.Context, parts []Part) (UploadResult, error) {
	if n := partCount(p.size, p.partSize); int64(len(parts)) != n {
		return UploadResult{}, fmt.Errorf("%v: got %d parts, want %d", p.at, len(parts), n)
	}
	m := &multipart{c: p.c, at: p.at, id: p.id, partSize: p.partSize}
	for i, part := range parts {
		sum, err := hex.DecodeString(part.MD5)
		if err != nil || len(sum) != md5.Size || part.Number != i+1 || part.ETag == "" {
			return UploadResult{}, fmt.Errorf("%v: invalid part %d of %d: number %d, MD5 sum %.40q, ETag %.80q", p.at, i+1, len(parts), part.Number, part.MD5, part.ETag)
		}
		m.put(part.Number, sentPart{etag: part.ETag, md5: [md5.Size]byte(sum), size: part.Size, proved: part.Proved})
	}
	if err := m.complete(ctx, p.size); err != nil {
		return UploadResult{}, p.gone(err)
	}
	return UploadResult{Size: p.size, ETag: m.has, Parts: len(parts), Verified: !m.blind}, nil
}

// Abort aborts the upload. A missing upload is not an error.
func (p *Parts) Abort(ctx context.Context) error { return p.c.Abort(ctx, p.at, p.id) }
