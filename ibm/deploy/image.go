package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/luks"
)

// encryptImage writes src to dst as an image of the profile, encrypted with key.
func (d *Deployment) encryptImage(ctx context.Context, dst io.WriterAt, src image.Source, key []byte, o luksimg.RunOptions) (*luksimg.Result, error) {
	opts := luksimg.EncryptOptions{Profile: luksimg.Profile(d.Plan.Profile), RunOptions: o}
	if d.Plan.hasUUID() {
		// A given key can be a passphrase, which needs a full KDF.
		opts.LUKS = luks.Options{UUID: d.ImageUUID, GeneratedKey: !d.KeyGiven}
	}
	return luksimg.Encrypt(ctx, dst, src, key, opts)
}

// encrypt creates the image file, which appears when complete. The first run refuses an
// existing file, so that a file found by a later run is the image.
func (d *Deployment) encrypt(ctx context.Context, before time.Time) error {
	if f := d.o.Finished; f != nil {
		d.ImageSize = f.Size
		return nil
	}
	if size, ok := d.imageThere(); ok && !before.IsZero() {
		d.ImageSize = size
		return nil
	}
	e, err := d.openedEnvelope()
	if err != nil {
		return err
	}
	disk, err := d.o.Source.Open(ctx)
	if err != nil {
		return err
	}
	defer disk.Close()
	out, err := d.o.Files.Create(d.Plan.Image, 0o600)
	if err != nil {
		return rest.WithHint(err, "remove or rename it, or name another file with --image")
	}
	defer out.Abort()
	key, err := d.open(ctx, e)
	if err != nil {
		return err
	}
	defer key.Clear()
	add, done := d.progress("encrypt", disk.Size())
	r, err := d.encryptImage(ctx, out, disk.Image, key.Disk, luksimg.RunOptions{Jobs: d.o.Jobs, Progress: add})
	done()
	if err == nil {
		err = disk.Unchanged()
	}
	if err == nil {
		if disk.Encrypted != nil {
			disk.Encrypted(r)
		}
		err = out.Commit()
	}
	if err := d.Log.Did(audit.ActionEncrypt, d.ImageUUID, map[string]any{"crkCrn": d.Plan.RootKeyCRN, "profile": d.Plan.Profile}, err); err != nil {
		return err
	}
	d.ImageSize = r.FileSize
	return nil
}

// imageThere reports whether the image file exists, and its length.
func (d *Deployment) imageThere() (int64, bool) {
	in, err := d.o.Files.Open(d.Plan.Image)
	if err != nil {
		return 0, false
	}
	defer in.Close()
	if d.rules.Format != luksimg.LUKS1 {
		return in.Size(), true
	}
	h, err := luks.Open(in, in.Size(), luks.OpenOptions{})
	return in.Size(), err == nil && h.UUID() == d.ImageUUID
}

// upload uploads the image, and resumes an interrupted upload.
func (d *Deployment) upload(ctx context.Context, before time.Time) error {
	if f := d.o.Finished; f != nil {
		return d.takeObject(ctx, f)
	}
	in, err := d.o.Files.Open(d.Plan.Image)
	if err != nil {
		return rest.WithHint(err, "the encrypted image is missing: restore it, or begin another deployment")
	}
	defer in.Close()
	if in.Size() != d.ImageSize {
		return fmt.Errorf("%s: the file has %d bytes, want %d", d.Plan.Image, in.Size(), d.ImageSize)
	}
	if before.IsZero() {
		switch info, err := d.Store.Head(ctx, d.object); {
		case err == nil && d.Replaces != "" && info.ETag == d.Replaces:
		case err == nil:
			return rest.WithHint(fmt.Errorf("%s: %w", d.object, fs.ErrExist), "choose another name with --object, or remove the object")
		case !errors.Is(err, cos.ErrNotFound):
			return err
		}
	}
	add, done := d.progress("upload", in.Size())
	r, err := d.Store.Upload(ctx, d.object, in, in.Size(), cos.UploadOptions{State: d.o.Upload, Progress: add})
	done()
	if err := d.Log.Did(audit.ActionUpload, d.object.String(), map[string]any{"size": in.Size(), "image": d.ImageUUID}, err); err != nil {
		return err
	}
	if !r.Verified {
		d.warn("%s: only the length was verified: the service returned no checksum, and this identity cannot read the object", d.object)
	}
	d.ETag = r.ETag
	return nil
}

// checkObject verifies that the object is still the uploaded one.
func (d *Deployment) checkObject(ctx context.Context) error {
	info, err := d.Store.Head(ctx, d.object)
	if err == nil && (info.Size != d.ImageSize || d.ETag != "" && info.ETag != d.ETag) {
		err = fmt.Errorf("%s: %w: it has %d bytes and ETag %s, want %d bytes and %s", d.object, cos.ErrChanged, info.Size, info.ETag, d.ImageSize, d.ETag)
	}
	if err != nil {
		return rest.WithHint(err, "somebody changed or removed the object: begin another deployment, with another --object")
	}
	return nil
}

// removeImage removes the local encrypted image after the import.
func (d *Deployment) removeImage() {
	if d.o.KeepImage {
		return
	}
	if size, ok := d.imageThere(); !ok || size != d.ImageSize {
		return
	}
	if err := d.o.Files.Remove(d.Plan.Image); err != nil {
		d.warn("%v", err)
	}
}
