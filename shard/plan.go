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

// PlanOptions say what [Plan] plans.
type PlanOptions struct {
	Encrypt luksimg.EncryptOptions
	// Plain, if not nil, has an image made that is not encrypted, in place of Encrypt: a fixed VHD.
	Plain *luksimg.DecryptOptions

	Shards   int   // 1 to MaxShards; zero is 1
	PartSize int64 // bytes; zero is 16 to 64 MiB by the size of the image, or what makes for no more than MaxParts

	Source      Source
	Destination string // the name of what the target makes
	Replace     bool   // the image may replace another one

	Created time.Time
	Tool    string // name and version

	Envelope json.RawMessage                            // with the wrapped key, if there is one
	Manifest func(r *luksimg.Result) *manifest.Manifest // of an image that is encrypted

	// Ready, if not nil, is called when all else is known to be good, just before room is made for the image. The
	// job has no UploadID then.
	Ready func(ctx context.Context, j *Job) error
}

// Plan makes the header of the image that [luksimg.Encrypt] would make of src, and makes room for the
// image; or, without a key, plans the one that [luksimg.Decrypt] would make. It reads no data of the disk. What it
// has begun, [Job.Abort] gives up.
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
		return nil, errors.New("a key for an image that is not encrypted")
	}
	return luksimg.DrawPlain(src, *o.Plain)
}

// partSize returns the size of the parts of an image.
func partSize(size, asked int64, shards int) (int64, error) {
	const mib = 1 << 20
	least := max(MinPart, (size+MaxParts*mib-1)/(MaxParts*mib)*mib)
	switch {
	case least > MaxPart:
		return 0, fmt.Errorf("an image of %d bytes: %d parts of %d bytes are the most", size, MaxParts, int64(MaxPart))
	case asked == 0:
		p := int64(16 * mib)
		for p < 64*mib && size/p > 1024 {
			p *= 2
		}
		// A part for each shard, if they can be that small.
		p = min(p, size/(int64(shards)*mib)*mib)
		return max(p, least), nil
	case asked < MinPart || asked > MaxPart:
		return 0, fmt.Errorf("parts of %d bytes, and %d to %d are possible", asked, int64(MinPart), int64(MaxPart))
	case (size+asked-1)/asked > MaxParts:
		return 0, fmt.Errorf("an image of %d bytes in parts of %d would have more than %d parts: they must have at least %d bytes", size, asked, MaxParts, least)
	}
	return asked, nil
}
