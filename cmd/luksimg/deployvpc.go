package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/vpc"

	"github.com/luksimg/luksimg/internal/rest"
)

// importVPC asks for the image, unless an earlier run has done so.
func (d *deployment) importVPC(ctx context.Context, before time.Time) error {
	if err := d.checkObject(ctx); err != nil {
		return err
	}
	e, err := d.openedEnvelope()
	if err != nil {
		return err
	}
	if d.Image != nil && d.Image.Failed {
		if err := d.removeVPC(ctx); err != nil {
			return err
		}
	}
	look := func() (bool, error) {
		img, err := d.vpc.FindImage(ctx, d.Plan.Name)
		if err == nil {
			d.Image.ID = img.ID
		}
		return err == nil, ignore(err, vpc.ErrNotFound)
	}
	if d.Image == nil { // nothing was asked for, so that one of this name is another one
		d.Image, before = &imageMade{}, time.Time{}
		found, err := look()
		if err == nil && found {
			err = fmt.Errorf("%w: %s, %s", vpc.ErrExists, d.Plan.Name, d.Image.ID)
		}
		if err != nil {
			d.Image = nil
			return taken(err, "give another name with --name")
		}
		if err := d.save(); err != nil {
			return err
		}
	}
	if found, err := d.settled(ctx, before, look); found || err != nil {
		return err
	}
	img, err := d.vpc.CreateImage(ctx, vpc.ImageRequest{
		Name: d.Plan.Name, URI: d.Plan.Object, OperatingSystem: d.Plan.OSCode, RootKeyCRN: d.Plan.RootKeyCRN, WrappedDEK: e.WDEK,
	})
	target := d.Plan.Name
	if img != nil {
		target, d.Image.ID = img.ID, img.ID
	} else if rest.Refused(err) && !errors.Is(err, vpc.ErrExists) {
		d.Image = nil
		d.forget(stepImport)
	}
	err = d.log.Did(audit.ActionImport, target, map[string]any{"uri": d.Plan.Object, "crkCrn": d.Plan.RootKeyCRN, "name": d.Plan.Name}, err)
	if err != nil {
		return errors.Join(err, d.save())
	}
	return nil
}

// taken gives a hint for a name that is taken, and for no other error.
func taken(err error, hint string) error {
	if errors.Is(err, vpc.ErrExists) {
		return withHint(err, hint)
	}
	return err
}

// removeVPC removes the image whose import failed, which has the name, and waits until it
// is gone.
func (d *deployment) removeVPC(ctx context.Context) error {
	d.t.say("import: removing image %s, whose import failed", d.Image.ID)
	if err := d.vpc.DeleteImage(ctx, d.Image.ID); err != nil && !errors.Is(err, vpc.ErrNotFound) {
		return err
	}
	for {
		_, err := d.vpc.Image(ctx, d.Image.ID)
		if errors.Is(err, vpc.ErrNotFound) {
			d.Image = nil
			return d.save()
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(d.wait.poll):
		}
	}
}

// waitImportVPC waits for the image. If it failed, the next run asks for it again.
func (d *deployment) waitImportVPC(ctx context.Context, _ time.Time) error {
	_, err := d.vpc.WaitImage(ctx, d.Image.ID, d.wait.options(d.t, "import"))
	switch {
	case errors.Is(err, vpc.ErrFailed):
		d.Image.Failed = true
		d.forget(stepImport)
		return errors.Join(err, d.save())
	case errors.Is(err, vpc.ErrNotFound):
		d.Image = nil
		d.forget(stepImport)
		return errors.Join(fmt.Errorf("the image is gone, and the same command asks for another one: %w", err), d.save())
	case err != nil:
		return err
	}
	d.removeImage()
	return d.uploadState().Remove()
}

// findInstance looks for the server of the order.
func (d *deployment) findInstance(ctx context.Context) (bool, error) {
	all, err := d.vpc.Instances(ctx)
	i := slices.IndexFunc(all, func(i vpc.Instance) bool { return i.Name == d.Order.Hostname })
	if err != nil || i < 0 {
		return false, err
	}
	d.Order.Instance = all[i].ID
	return true, nil
}

// placeOrderVPC orders the server, unless an earlier run has done so.
func (d *deployment) placeOrderVPC(ctx context.Context, before time.Time) error {
	r, err := d.place.request(&d.server)
	if err != nil {
		return err
	}
	r.Image = d.Image.ID
	if d.Order == nil {
		d.Order, before = &orderPlaced{Hostname: r.Name}, time.Time{}
		found, err := d.findInstance(ctx)
		if err == nil && found {
			err = fmt.Errorf("%w: %s, %s", vpc.ErrExists, r.Name, d.Order.Instance)
		}
		if err != nil {
			d.Order = nil
			return taken(err, "give another name with --hostname")
		}
		if err := d.save(); err != nil {
			return err
		}
	}
	found, err := d.settled(ctx, before, func() (bool, error) { return d.findInstance(ctx) })
	if found || err != nil {
		return err
	}
	i, err := d.vpc.CreateInstance(ctx, r)
	if i != nil {
		d.Order.Instance = i.ID
	} else if rest.Refused(err) && !errors.Is(err, vpc.ErrExists) {
		d.Order = nil
		d.forget(stepOrder)
	}
	err = d.log.Did(audit.ActionOrder, r.Name, map[string]any{"image": r.Image, "crkCrn": d.Plan.RootKeyCRN, "zone": r.Zone}, err)
	if err != nil {
		return errors.Join(err, d.save())
	}
	return nil
}

// waitOrderVPC waits for the server.
func (d *deployment) waitOrderVPC(ctx context.Context, _ time.Time) error {
	id := d.Order.Instance
	_, err := d.vpc.WaitInstance(ctx, id, d.wait.options(d.t, "order"))
	switch {
	case errors.Is(err, vpc.ErrFailed):
		return withHint(err, "delete instance "+id+", and the same command orders another one")
	case errors.Is(err, vpc.ErrNotFound):
		d.Order = nil
		d.forget(stepOrder)
		return errors.Join(fmt.Errorf("instance %s is gone, and the same command orders another one: %w", id, err), d.save())
	}
	return err
}
