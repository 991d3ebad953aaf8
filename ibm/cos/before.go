package cos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// PlaceOptions say what [Client.CheckPlace] looks for.
type PlaceOptions struct {
	KeyRegion string // of the root key of the image; "" is any
	Replace   bool   // there may be an object of that name
	Size      int64  // of the image in bytes, if it is known
	PartSize  int64  // as in [UploadOptions]
}

// CheckPlace looks at where an image is to be uploaded. An object that is too large is an error
// that matches [ErrTooLarge], before the service is asked. A bucket that images can not be imported
// from is one that matches [ErrBucketRegion]: it is not regional, or not in the region of the root key. An object that is there is one that matches [fs.ErrExist]. asked reports
// whether this identity may ask where the bucket is; if not, that is no error, and it may yet
// write.
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
		return asked, fmt.Errorf("%s: %w: the bucket is in %s", at, ErrBucketRegion, b.Region)
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

// Unfinished returns the IDs of the uploads of an object that were begun, by whoever, and
// neither completed nor given up. They cost money, and are in no list of objects.
func (c *Client) Unfinished(ctx context.Context, at Object) ([]string, error) {
	all, err := c.Uploads(ctx, at.Region, at.Bucket, at.Key)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, u := range all {
		if u.Key == at.Key { // not one whose name only begins like it
			ids = append(ids, u.UploadID)
		}
	}
	return ids, nil
}

// AbortAll gives up what [Client.Unfinished] finds, and returns how many uploads that were.
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
