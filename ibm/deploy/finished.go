package deploy

import (
	"context"
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
)

// Finished is an encrypted image that already exists in Object Storage, with the wrapped key in its envelope. The
// deployment continues from there. See package shard.
type Finished struct {
	Envelope  *wrap.Envelope
	ImageUUID string // "" for a VHD
	Size      int64  // of the object in bytes
	// Is reports whether the object is the image.
	Is func(ctx context.Context) (bool, error)
}

// takeKey uses the wrapped key of a finished image.
func (d *Deployment) takeKey(f *Finished) error {
	e := f.Envelope
	if e == nil || e.RootKeyCRN != d.Plan.RootKeyCRN || e.Convention != d.rules.Convention {
		return rest.WithHint(errors.New("the image has no envelope for this root key and profile"), "plan its job with --profile and --root-key-crn")
	}
	d.WDEK, d.KeyFingerprint, d.KeyGiven = e.WDEK, e.KeyFingerprint, true
	if f.ImageUUID != "" {
		d.ImageUUID = f.ImageUUID
	}
	return d.save()
}

// takeObject uses the object of a finished image.
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
		return fmt.Errorf("%s: the object is not the image of the job", d.object)
	}
	d.ImageSize, d.ETag = info.Size, info.ETag
	return nil
}
