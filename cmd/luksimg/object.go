package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/luks"
)

// checkBucket refuses a bucket that images can not be imported from: of several regions, or
// not of the one that the root key is in, if that is not "". An identity that may not ask
// is no error.
func checkBucket(ctx context.Context, t *talk.Talk, client *cos.Client, at cos.Object, keyRegion string) error {
	if cos.CrossRegion(at.Region) {
		return fmt.Errorf("%s: %w: %s is several regions", at, cos.ErrBucketRegion, at.Region)
	}
	b, err := client.Bucket(ctx, at.Region, at.Bucket)
	if errors.Is(err, cos.ErrAccess) {
		t.Say("%s: this identity may not ask where the bucket is, so that it was not checked", at.Bucket)
		return nil
	}
	if err != nil {
		return err
	}
	if b.Region != "" && b.Region != at.Region {
		return fmt.Errorf("%s: %w: the bucket is in %s", at, cos.ErrBucketRegion, b.Region)
	}
	return b.CheckImages(keyRegion)
}

// checkFree refuses to replace an object without force.
func checkFree(ctx context.Context, client *cos.Client, at cos.Object, force bool) error {
	if force {
		return nil
	}
	_, err := client.Head(ctx, at)
	switch {
	case err == nil:
		return fmt.Errorf("%s: %w", at, fs.ErrExist)
	case errors.Is(err, cos.ErrNotFound), errors.Is(err, cos.ErrAccess): // the latter may yet write
		return nil
	}
	return err
}

// unfinished returns the ids of the uploads of an object that were begun, and neither
// completed nor given up.
func unfinished(ctx context.Context, client *cos.Client, at cos.Object) ([]string, error) {
	all, err := client.Uploads(ctx, at.Region, at.Bucket, at.Key)
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

// headerUUID returns the UUID of a LUKS image, "" of others.
func headerUUID(in *input) string {
	h, err := luks.Open(in.r, in.size, luks.OpenOptions{})
	if err != nil {
		return ""
	}
	return h.UUID()
}
