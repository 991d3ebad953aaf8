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

// A Part is one of an upload: what its sender knows of it.
type Part struct {
	Number int    // from 1 on
	Size   int64  // bytes
	ETag   string // that the service gave it
	MD5    string // in hexadecimal, of what was sent
	// Proved tells that what is stored is what was sent: the ETag is the MD5 sum, or the service
	// vouched for it in another way. [Parts.Complete] reads all else again.
	Proved bool
}

// PartsOptions say how [Client.BeginParts] begins an upload.
type PartsOptions struct {
	// Opaque tells that ETags are no MD5 sums, as they are not where the bucket is encrypted with some
	// kinds of keys. The object then says so.
	Opaque bool
}

// Parts is an upload whose parts are sent by anybody who knows its ID: by several processes, on
// several machines, in any order. All parts but the last one have the same size. The service keeps
// the parts, and charges for them, until Complete or Abort. It is safe for concurrent use.
type Parts struct {
	c        *Client
	at       Object
	id       string
	size     int64
	partSize int64

	mu    sync.Mutex
	there map[int]part // what the service had when it was last asked
}

// PartSize returns the size of the parts of an object of size bytes: what was asked for, if that is
// allowed, or else, for 0, a fitting one. An object that is too large, or has too many parts, is
// [ErrTooLarge].
func PartSize(size, asked int64) (int64, error) { return choosePart(size, asked, defaultPart(size)) }

// BeginParts begins an upload of size bytes. The object appears when it is completed.
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

// ResumeParts returns an upload that was begun, and asks the service what it has of it. One that
// is not there any more, as it was completed, given up or has expired, is [fs.ErrNotExist].
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

// ID returns what the service calls the upload.
func (p *Parts) ID() string { return p.id }

// Refresh asks the service again what it has.
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

// gone makes an error of an upload that is not there one that matches [fs.ErrNotExist].
func (p *Parts) gone(err error) error {
	if isNoSuchUpload(err) {
		return fmt.Errorf("%v: the upload: %w: %w", p.at, fs.ErrNotExist, err)
	}
	return err
}

// Has tells whether the service had a part like this one, and none of that number at all, when it
// was last asked.
func (p *Parts) Has(want Part) (same, missing bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	has, ok := p.there[want.Number]
	return ok && has.etag == want.ETag && has.size == want.Size, !ok
}

// Send stores a part, unless the service has it: then found is true. known is what an earlier call
// returned of the part of this number, or nothing.
func (p *Parts) Send(ctx context.Context, number int, b []byte, known Part) (_ Part, found bool, err error) {
	n := partCount(p.size, p.partSize)
	if number < 1 || int64(number) > n || int64(len(b)) != min(p.partSize, p.size-int64(number-1)*p.partSize) {
		return Part{}, false, fmt.Errorf("%v: part %d of %d bytes, of %d in parts of %d", p.at, number, len(b), p.size, p.partSize)
	}
	m := &multipart{c: p.c, at: p.at, id: p.id, partSize: p.partSize}
	m.tried = n == MaxParts // else a trial would replace the last part
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

// Complete makes the object of all its parts, in order, and checks that it is there, as
// [Client.Upload] does. A part that is not the one that was sent ends it with an error that
// matches [ErrChecksum], or is one of the service.
func (p *Parts) Complete(ctx context.Context, parts []Part) (UploadResult, error) {
	if n := partCount(p.size, p.partSize); int64(len(parts)) != n {
		return UploadResult{}, fmt.Errorf("%v: %d parts of %d", p.at, len(parts), n)
	}
	m := &multipart{c: p.c, at: p.at, id: p.id, partSize: p.partSize}
	for i, part := range parts {
		sum, err := hex.DecodeString(part.MD5)
		if err != nil || len(sum) != md5.Size || part.Number != i+1 || part.ETag == "" {
			return UploadResult{}, fmt.Errorf("%v: part %d of %d has number %d, MD5 sum %.40q, ETag %.80q", p.at, i+1, len(parts), part.Number, part.MD5, part.ETag)
		}
		m.put(part.Number, sentPart{etag: part.ETag, md5: [md5.Size]byte(sum), size: part.Size, proved: part.Proved})
	}
	if err := m.complete(ctx, p.size); err != nil {
		return UploadResult{}, p.gone(err)
	}
	return UploadResult{Size: p.size, ETag: m.has, Parts: len(parts), Verified: !m.blind}, nil
}

// Abort gives the upload up. One that is not there is no error.
func (p *Parts) Abort(ctx context.Context) error { return p.c.Abort(ctx, p.at, p.id) }
