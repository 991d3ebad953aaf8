package cos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// CheckImages refuses an object in a bucket that images can not be imported from: of several
// regions, or not of the one that the root key is in, if that is not "". The error matches
// [ErrBucketRegion]. checked reports whether this identity may ask where the bucket is; if not,
// that is no error.
func (c *Client) CheckImages(ctx context.Context, at Object, keyRegion string) (checked bool, err error) {
	if CrossRegion(at.Region) {
		return false, fmt.Errorf("%s: %w: %s is several regions", at, ErrBucketRegion, at.Region)
	}
	b, err := c.Bucket(ctx, at.Region, at.Bucket)
	switch {
	case errors.Is(err, ErrAccess):
		return false, nil
	case err != nil:
		return false, err
	case b.Region != "" && b.Region != at.Region:
		return true, fmt.Errorf("%s: %w: the bucket is in %s", at, ErrBucketRegion, b.Region)
	}
	return true, b.CheckImages(keyRegion)
}

// CheckFree returns an error that matches [fs.ErrExist] if there is an object of that name. An
// identity that may not ask is no error: it may yet write.
func (c *Client) CheckFree(ctx context.Context, at Object) error {
	_, err := c.Head(ctx, at)
	switch {
	case err == nil:
		return fmt.Errorf("%s: %w", at, fs.ErrExist)
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrAccess):
		return nil
	}
	return err
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
