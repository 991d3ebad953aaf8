package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/shard"
)

// An objectTarget is a [shard.Target] that makes an object. The records are objects beside it.
type objectTarget struct {
	client *cos.Client
	at     cos.Object
}

// beside returns the object for a record.
func (t objectTarget) beside(name string) cos.Object {
	o := t.at
	o.Key += shard.FolderSuffix + "/" + name
	return o
}

// Begin implements [shard.Target].
func (t objectTarget) Begin(ctx context.Context, size, partSize int64) (shard.Upload, error) {
	opaque, err := t.opaque(ctx)
	if err != nil {
		return nil, err
	}
	p, err := t.client.BeginParts(ctx, t.at, size, partSize, cos.PartsOptions{Opaque: opaque})
	if err != nil {
		return nil, err
	}
	return objectUpload{p}, nil
}

// opaque reports whether ETags in the bucket differ from MD5 sums. It stores a small object, and removes it.
func (t objectTarget) opaque(ctx context.Context) (bool, error) {
	text := []byte("luksimg shard plan: what ETag does this get?\n")
	at := t.beside("etag")
	r, err := t.client.Upload(ctx, at, bytes.NewReader(text), int64(len(text)), cos.UploadOptions{})
	if err != nil {
		return false, err
	}
	sum := md5.Sum(text)
	return r.ETag != hex.EncodeToString(sum[:]), t.client.Delete(ctx, at)
}

// Resume implements [shard.Target].
func (t objectTarget) Resume(ctx context.Context, id string, size, partSize int64) (shard.Upload, error) {
	p, err := t.client.ResumeParts(ctx, t.at, id, size, partSize)
	if err != nil {
		return nil, err
	}
	return objectUpload{p}, nil
}

// Abort implements [shard.Target].
func (t objectTarget) Abort(ctx context.Context, id string) error {
	return t.client.Abort(ctx, t.at, id)
}

// Patience returns how long to look for an image after its upload has ended. A service that completes an upload can
// list neither for a moment.
func (objectTarget) Patience() time.Duration { return 5 * time.Second }

// Open implements [shard.Target].
func (t objectTarget) Open(ctx context.Context) (shard.Image, error) {
	r, err := t.client.Open(ctx, t.at)
	if err != nil {
		return nil, missing(err)
	}
	return r, nil
}

// missing makes the error for a missing object match [fs.ErrNotExist].
func missing(err error) error {
	if errors.Is(err, cos.ErrNotFound) {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// Remove implements [shard.Target].
func (t objectTarget) Remove(ctx context.Context) error { return t.client.Delete(ctx, t.at) }

// Save implements [shard.Target]. The upload detects that another process has replaced the record.
func (t objectTarget) Save(ctx context.Context, name string, b, _ []byte) error {
	_, err := t.client.Upload(ctx, t.beside(name), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: cos.MaxPart})
	if errors.Is(err, cos.ErrChecksum) {
		err = fmt.Errorf("%w: %w", shard.ErrStale, err)
	}
	return err
}

// maxSmall is the largest record in bytes.
const maxSmall = 16 << 20

// tries is the number of attempts to read a record that other processes may replace at the same time.
const tries = 5

// Load implements [shard.Target]. Another process may replace the record while it is read.
func (t objectTarget) Load(ctx context.Context, name string) ([]byte, error) {
	for try := 1; ; try++ {
		b, err := t.load(ctx, name)
		if !errors.Is(err, cos.ErrChanged) || try == tries {
			return b, err
		}
	}
}

func (t objectTarget) load(ctx context.Context, name string) ([]byte, error) {
	r, err := t.client.Open(ctx, t.beside(name))
	if errors.Is(err, cos.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if r.Size() > maxSmall {
		return nil, fmt.Errorf("%w: %v: longer than %d bytes", shard.ErrRecord, t.beside(name), maxSmall)
	}
	b := make([]byte, r.Size())
	_, err = image.ReadFull(r, b, 0)
	return b, err
}

// Clear implements [shard.Target].
func (t objectTarget) Clear(ctx context.Context, names []string) error {
	for _, n := range names {
		if err := t.client.Delete(ctx, t.beside(n)); err != nil {
			return err
		}
	}
	return nil
}

// An objectUpload is a [shard.Upload] whose parts the service lists.
type objectUpload struct{ *cos.Parts }

func (u objectUpload) part(p shard.Part) cos.Part {
	return cos.Part{Number: p.Number, Size: p.Size, ETag: p.ETag, MD5: p.MD5, Proved: p.Proved}
}

// Has implements [shard.Upload].
func (u objectUpload) Has(_ context.Context, p shard.Part) (same, missing bool, err error) {
	same, missing = u.Parts.Has(u.part(p))
	return same, missing, nil
}

// Lists implements [shard.Upload].
func (u objectUpload) Lists() bool { return true }

// Send implements [shard.Upload].
func (u objectUpload) Send(ctx context.Context, number int, b []byte, known shard.Part) (shard.Part, bool, error) {
	p, found, err := u.Parts.Send(ctx, number, b, u.part(known))
	return shard.Part{ETag: p.ETag, MD5: p.MD5, Proved: p.Proved}, found, err
}

// Complete implements [shard.Upload].
func (u objectUpload) Complete(ctx context.Context, parts []shard.Part) error {
	all := make([]cos.Part, len(parts))
	for i, p := range parts {
		all[i] = u.part(p)
	}
	_, err := u.Parts.Complete(ctx, all)
	return err
}

// Close implements [shard.Upload].
func (u objectUpload) Close() error { return nil }
