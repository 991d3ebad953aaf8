package deploy

import (
	"context"
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
)

// Finished is an image that is in Object Storage already, encrypted, with the key that its envelope has: a
// deployment goes on from there. See package shard.
type Finished struct {
	Envelope  *wrap.Envelope
	ImageUUID string // "" of a VHD
	Size      int64  // of the object, bytes
	// Is tells whether the object is the image.
	Is func(ctx context.Context) (bool, error)
}

// takeKey takes the wrapped key of an image that is finished.
func (d *Deployment) takeKey(f *Finished) error {
	e := f.Envelope
	if e == nil || e.RootKeyCRN != d.Plan.RootKeyCRN || e.Convention != d.rules.Convention {
		return rest.WithHint(errors.New("the image has no envelope of this root key and profile"), "plan its job with --profile and --root-key-crn")
	}
	d.WDEK, d.KeyFingerprint, d.KeyGiven = e.WDEK, e.KeyFingerprint, true
	if f.ImageUUID != "" {
		d.ImageUUID = f.ImageUUID
	}
	return d.save()
}

// takeObject finds the image that is finished.
func (d *Deployment) takeObject(ctx context.Context, f *Finished) error {
	info, err := d.Store.Head(ctx, d.object)
	if err != nil {
		return rest.WithHint(err, "finish the job first: luksimg shard finish JOB")
	}
	is := info.Size == f.Size
	if is {
		if is, err = f.Is(ctx); err != nil {
			return err
		}
	}
	if !is {
		return fmt.Errorf("%s: it is not the image of the job", d.object)
	}
	d.ImageSize, d.ETag = info.Size, info.ETag
	return nil
}
