package shard

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/manifest"
)

// PlanOptions are the settings of [Plan].
type PlanOptions struct {
	// Encrypt are the settings of an encrypted image.
	Encrypt luksimg.EncryptOptions
	// Plain, if not nil, plans an unencrypted image, a fixed VHD, in place of an encrypted one.
	Plain *luksimg.DecryptOptions

	Shards   int   // 1 to MaxShards; zero means 1
	PartSize int64 // bytes; zero means 16 to 64 MiB depending on the size of the image, less for many shards, more to stay within MaxParts

	Source      Source
	Destination string // name of the image
	Replace     bool   // the image may replace an existing one

	Created time.Time
	Tool    string // name and version

	Envelope json.RawMessage                            // holds the wrapped key; nil if there is none
	Manifest func(r *luksimg.Result) *manifest.Manifest // makes the manifest of an encrypted image

	// Ready, if not nil, is called after all checks, just before the target makes room for the image. The job has
	// no UploadID yet. An error ends Plan.
	Ready func(ctx context.Context, j *Job) error
}

// Plan makes a job for the image that [luksimg.Encrypt] would make of src, and makes room for it in t. If o.Plain is
// set, key must be nil, and the image is that of [luksimg.Decrypt]. Plan makes the header, but reads no data of the
// disk. [Job.Abort] removes what Plan made in t.
func Plan(ctx context.Context, t Target, src image.Source, key []byte, o PlanOptions) (*Job, error) {
	id := make([]byte, 16)
	rand.Read(id)
	j := &Job{
		Version: Version, ID: hex.EncodeToString(id), Created: o.Created, Tool: o.Tool,
		Source: o.Source, Destination: o.Destination, Replace: o.Replace, Shards: max(o.Shards, 1), Envelope: o.Envelope,
	}
	b, err := o.draw(ctx, src, key)
	if err != nil {
		return nil, err
	}
	j.Image = *b
	r, err := b.Result()
	if err != nil {
		return nil, err
	}
	if b.Encrypted() {
		j.Manifest = o.Manifest(r)
	}
	if j.PartSize, err = partSize(b.FileSize, o.PartSize, j.Shards); err != nil {
		return nil, err
	}
	if f, ok := t.(File); ok {
		if err := f.free(); err != nil {
			return nil, err
		}
	}
	if o.Ready != nil {
		if err := o.Ready(ctx, j); err != nil {
			return nil, err
		}
	}
	u, err := t.Begin(ctx, b.FileSize, j.PartSize)
	if err != nil {
		return nil, err
	}
	defer u.Close()
	j.UploadID = u.ID()
	if err := j.check(); err != nil {
		return nil, errors.Join(err, t.Abort(context.WithoutCancel(ctx), u.ID()))
	}
	return j, nil
}

// draw plans the image itself.
func (o PlanOptions) draw(ctx context.Context, src image.Source, key []byte) (*luksimg.Blueprint, error) {
	switch {
	case o.Plain == nil:
		return luksimg.Draw(ctx, src, key, o.Encrypt)
	case key != nil || o.Envelope != nil:
		return nil, errors.New("the image is not encrypted, but has a key or an envelope")
	}
	return luksimg.DrawPlain(src, *o.Plain)
}

// partSize returns the size of the parts of an image. asked is the size that the caller wants, or 0.
func partSize(size, asked int64, shards int) (int64, error) {
	const mib = 1 << 20
	least := max(MinPart, (size+MaxParts*mib-1)/(MaxParts*mib)*mib)
	switch {
	case least > MaxPart:
		return 0, fmt.Errorf("an image of %d bytes is more than %d parts of %d bytes", size, MaxParts, int64(MaxPart))
	case asked == 0:
		p := int64(16 * mib)
		for p < 64*mib && size/p > 1024 {
			p *= 2
		}
		// At least one part for each shard, if parts can be that small.
		p = min(p, size/(int64(shards)*mib)*mib)
		return max(p, least), nil
	case asked < MinPart || asked > MaxPart:
		return 0, fmt.Errorf("parts of %d bytes: want %d to %d", asked, int64(MinPart), int64(MaxPart))
	case (size+asked-1)/asked > MaxParts:
		return 0, fmt.Errorf("an image of %d bytes in parts of %d would have more than %d parts: want parts of at least %d bytes", size, asked, MaxParts, least)
	}
	return asked, nil
}
