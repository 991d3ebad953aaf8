package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/google/uuid"

	"github.com/luksimg/luksimg/internal/rest"
)

// changedSource does what --changed-source says of a source that is not what it was when
// the deployment began.
func (d *Deployment) changedSource(plan Plan) error {
	encrypted, asked := d.done(StepEncrypt), d.step(StepImport) != nil
	changed := fmt.Errorf("%s has changed since the deployment of %s began", plan.Source, d.o.State)
	if plan.SourceSum != "" && plan.SourceSum != d.Plan.SourceSum {
		if same := d.Plan; !encrypted {
			if same.SourceSum = plan.SourceSum; same.sameSource(plan) { // what is encrypted is compared with it
				d.Plan.SourceSum = plan.SourceSum
				return d.save()
			}
		}
		changed = fmt.Errorf("%s is to have another checksum than when the deployment of %s began", plan.Source, d.o.State)
	}
	switch {
	case d.o.Changed == Encrypt && !asked:
		d.say("deploy: %v: it is encrypted as it is now", changed)
		d.Plan.takeSource(plan)
		d.Anew = true
		return d.save()
	case d.o.Changed == Keep && encrypted:
		d.warn("%v: the image is of what it was before", changed)
		return nil
	case asked:
		return rest.WithHint(changed, "there may be an image in the cloud already: --name and --object begin another deployment of what it is now; "+
			"--changed-source keep goes on with this one, whose image is of what it was before")
	}
	h := "--changed-source encrypt encrypts what it is now, with a new key"
	if encrypted {
		h += "; --changed-source keep goes on with the image of what it was before"
	}
	return rest.WithHint(changed, h)
}

// startAnew removes what was made of a source that has changed since, and forgets it: key,
// image and object are made anew. The state says so from before the first is removed until
// all are, so that a run that ends meanwhile is continued.
func (d *Deployment) startAnew(ctx context.Context) error {
	if b, err := d.o.Upload.Load(); err != nil {
		return err
	} else if b != nil {
		if err := d.Store.AbortUpload(ctx, d.o.Upload); err != nil {
			return err
		}
	}
	if size, ok := d.imageThere(); ok && (d.ImageSize == 0 || size == d.ImageSize) && d.step(StepEncrypt) != nil {
		if err := d.o.Files.Remove(d.Plan.Image); err != nil {
			return err
		}
	}
	e, err := d.readEnvelope()
	switch {
	case err == nil && d.WDEK != "" && e.WDEK == d.WDEK:
		if err := d.o.Files.Remove(d.Plan.Envelope); err != nil {
			return err
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if d.ETag != "" {
		d.Replaces = d.ETag
	}
	for _, s := range []string{StepCheck, StepKey, StepEncrypt, StepUpload} {
		d.forget(s)
	}
	d.WDEK, d.KeyFingerprint, d.KeyGiven, d.ImageUUID, d.ImageSize, d.ETag, d.Anew = "", "", false, uuid.NewString(), 0, "", false
	return d.save()
}
