package cos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/luksimg/luksimg/internal/advice"
)

// PlaceOptions say what [Client.CheckPlace] checks.
type PlaceOptions struct {
	KeyRegion string // region of the image's root key; "" means any
	Replace   bool   // an existing object is not an error
	Size      int64  // of the image in bytes; 0 if unknown
	PartSize  int64  // as in [UploadOptions]
}

// CheckPlace checks the destination of an upload. Its errors match [ErrTooLarge] if the object would
// be too large, which it finds without a request. They match [ErrBucketRegion] if the bucket is not
// regional or not in the region of the root key, since images cannot be imported from there. They
// match [fs.ErrExist] if the object exists. asked reports whether this identity may query the
// location of the bucket. If not, that is not an error: the identity may still have write access.
func (c *Client) CheckPlace(ctx context.Context, at Object, o PlaceOptions) (asked bool, err error) {
	if err := at.CheckImages(); err != nil {
		return false, err
	}
	if _, err := choosePart(o.Size, o.PartSize, 0); err != nil {
		return false, err
	}
	b, err := c.Bucket(ctx, at.Region, at.Bucket)
	asked = !errors.Is(err, ErrAccess)
	switch {
	case asked && err != nil:
		return asked, err
	case asked && b.Region != "" && b.Region != at.Region:
		return asked, advice.With(fmt.Errorf("%s: %w: the bucket is in %s", at, ErrBucketRegion, b.Region),
			"name it by its region: "+Object{b.Region, at.Bucket, at.Key}.String())
	case asked:
		if err := b.CheckImages(o.KeyRegion); err != nil {
			return asked, err
		}
	}
	if o.Replace {
		return asked, nil
	}
	_, err = c.Head(ctx, at)
	switch {
	case err == nil:
		err = fmt.Errorf("%s: %w", at, fs.ErrExist)
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrAccess):
		err = nil
	}
	return asked, err
}

// Unfinished returns the IDs of all multipart uploads of an object that were neither completed nor
// aborted, by any client. They cost money and appear in no list of objects.
func (c *Client) Unfinished(ctx context.Context, at Object) ([]string, error) {
	all, err := c.Uploads(ctx, at.Region, at.Bucket, at.Key)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, u := range all {
		if u.Key == at.Key { // not a longer key with that prefix
			ids = append(ids, u.UploadID)
		}
	}
	return ids, nil
}

// AbortAll aborts the uploads that [Client.Unfinished] finds, and returns their number.
func (c *Client) AbortAll(ctx context.Context, at Object) (int, error) {
	ids, err := c.Unfinished(ctx, at)
	if err != nil {
		return 0, err
	}
	for n, id := range ids {
		if err := c.Abort(ctx, at, id); err != nil {
			return n, err
		}
	}
	return len(ids), nil
}
