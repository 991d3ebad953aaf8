package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/google/uuid"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/contents"
	"github.com/luksimg/luksimg/image"
)

// checkDisk looks at the disk: whether the cloud takes one of its size, and whether a
// server could start from it.
func (d *deployment) checkDisk(ctx context.Context) error {
	s, err := d.source.open(d.c, d.t, d.src)
	if err != nil {
		return err
	}
	defer s.close()
	if err := luksimg.Profile(d.Plan.Profile).CheckSize(s.img.Size()); err != nil {
		return withHint(err, "make the disk smaller first")
	}
	refuse := func(what, hint string) error {
		if d.anyDisk {
			d.t.warn("%s: %s", d.src, what)
			return nil
		}
		return withHint(fmt.Errorf("%s: %s", d.src, what), hint+"; --any-disk goes on all the same")
	}
	if !bootable(s.img) {
		if err := refuse("the disk has no boot signature: no server starts from it",
			"check that this is the image of a whole disk, and not of a partition or a file"); err != nil {
			return err
		}
	}
	c, err := contents.Inspect(ctx, s.img)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return nil // nothing can be told of it
	}
	warnInside(d.t, d.src, c)
	if c.CloudInit == contents.NotFound {
		return refuse("cloud-init is not installed on the disk, and an encrypted image must have it: its server would have no network and no user",
			"install cloud-init in the image")
	}
	return nil
}

// bootable tells whether a disk has a partition table, or the mark at the end of its first
// sector that a BIOS looks for.
func bootable(src image.Source) bool {
	b := make([]byte, 2)
	if _, err := src.ReadAt(b, 510); err != nil && err != io.EOF {
		return false
	}
	return b[0] == 0x55 && b[1] == 0xaa || luksimg.LabelOf(src) != luksimg.NoLabel
}

// startAnew removes what was made of a source that has changed since, and forgets it: key,
// image and object are made anew. The state says so from before the first is removed until
// all are, so that a run that ends meanwhile is continued.
func (d *deployment) startAnew(ctx context.Context) error {
	if b, err := d.uploadState().Load(); err != nil {
		return err
	} else if b != nil {
		if err := d.store.AbortUpload(ctx, d.uploadState()); err != nil {
			return err
		}
	}
	if size, ok := d.imageThere(); ok && (d.ImageSize == 0 || size == d.ImageSize) && d.step(stepEncrypt) != nil {
		if err := os.Remove(d.Plan.Image); err != nil {
			return err
		}
	}
	e, err := readEnvelope(ctx, d.Plan.Envelope)
	switch {
	case err == nil && d.WDEK != "" && e.WDEK == d.WDEK:
		if err := os.Remove(d.Plan.Envelope); err != nil {
			return err
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if d.ETag != "" {
		d.Replaces = d.ETag
	}
	for _, s := range []string{stepCheck, stepKey, stepEncrypt, stepUpload} {
		d.forget(s)
	}
	d.WDEK, d.KeyFingerprint, d.KeyGiven, d.ImageUUID, d.ImageSize, d.ETag, d.Anew = "", "", false, uuid.NewString(), 0, "", false
	return d.save()
}
