package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/google/uuid"

	"github.com/luksimg/luksimg/internal/rest"
)

// changedSource applies the --changed-source policy to a source that has changed since
// the deployment began.
func (d *Deployment) changedSource(plan Plan) error {
	encrypted, asked := d.done(StepEncrypt), d.step(StepImport) != nil
	changed := fmt.Errorf("%s has changed since the deployment of %s began", plan.Source, d.o.State)
	if plan.SourceSum != "" && plan.SourceSum != d.Plan.SourceSum {
		if same := d.Plan; !encrypted {
			if same.SourceSum = plan.SourceSum; same.sameSource(plan) { // the checksum is verified during encryption
				d.Plan.SourceSum = plan.SourceSum
				return d.save()
			}
		}
		changed = fmt.Errorf("the checksum of %s differs from that given when the deployment of %s began", plan.Source, d.o.State)
	}
	switch {
	case d.o.Changed == Encrypt && !asked:
		d.say("deploy: %v: encrypting the current contents", changed)
		d.Plan.takeSource(plan)
		d.Anew = true
		return d.save()
	case d.o.Changed == Keep && encrypted:
		d.warn("%v: the image has the earlier contents", changed)
		return nil
	case asked:
		return rest.WithHint(changed, "an image may already exist in the cloud: --name and --object begin another deployment of the current contents; "+
			"--changed-source keep continues this one with the earlier contents")
	}
	h := "--changed-source encrypt encrypts the current contents with a new key"
	if encrypted {
		h += "; --changed-source keep continues with the image of the earlier contents"
	}
	return rest.WithHint(changed, h)
}

// startAnew removes the results for a source that has changed since, and forgets them: key,
// image and object are made again. The state records this before the first removal and until
// the last one, so that an interrupted run can continue.
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
