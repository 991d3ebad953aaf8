package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/contents"
	"github.com/luksimg/luksimg/ibm/account"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/rest"
)

// errRefused means that the records of the cloud show that it would refuse a later step, because of a wrong
// bucket region or a missing authorization.
var errRefused = rest.NewRefusal("the cloud would refuse the deployment", nil)

// check finds what would make a later step fail, before the long steps start.
func (d *Deployment) check(ctx context.Context, _ time.Time) error {
	key, err := crn.ParseRootKey(d.Plan.RootKeyCRN)
	if err != nil {
		return err
	}
	if err := d.Cloud.Check(); err != nil {
		return err
	}
	if d.o.Finished == nil {
		if err := d.checkDisk(ctx); err != nil {
			return err
		}
	}
	if err := d.Cloud.CheckSystem(ctx, d.Plan.OSCode); err != nil {
		return err
	}
	b, err := d.Store.Bucket(ctx, d.object.Region, d.object.Bucket)
	if err == nil {
		if err = b.CheckImages(key.Region); err != nil {
			err = fmt.Errorf("%w: %w", errRefused, err)
		}
	}
	switch {
	case errors.Is(err, cos.ErrBucketRegion):
		return rest.WithHint(err, "bucket and root key must be in one region: create a regional bucket in "+key.Region+" with luksimg setup")
	case err != nil:
		return err
	}
	return d.checkAuthorizations(ctx, key)
}

// checkAuthorizations looks up the authorizations that the cloud services need. Without them the
// import fails, or no server starts from the image. The Object Storage instance of the bucket
// is unknown here.
func (d *Deployment) checkAuthorizations(ctx context.Context, key crn.CRN) error {
	if d.o.SkipAuthorizationCheck {
		return nil
	}
	without := "no server starts"
	if d.rules.Target == VPC {
		without = "the import fails"
	}
	for _, a := range account.Authorizations(key.Account, key, d.rules.Target == VPC, "") {
		switch ok, err := d.findPolicy(ctx, key.Account, a); {
		case errors.Is(err, iam.ErrDenied):
			d.warn("this API key has no permission to list authorizations: not checked: %s", a.Name)
		case err != nil:
			return err
		case !ok:
			return rest.WithHint(fmt.Errorf("%w: missing authorization %s: without it %s", errRefused, a.Name, without),
				"luksimg setup --target "+d.rules.Target+" creates it, or: "+a.Command+"; --skip-authorization-check skips this check")
		}
	}
	return nil
}

// findPolicy looks up an authorization. It retries for the time that a new authorization can
// take to become visible.
func (d *Deployment) findPolicy(ctx context.Context, account string, a account.Authorization) (found bool, err error) {
	said := false
	o := rest.WaitOptions{Interval: min(d.poll(), 5*time.Second), Timeout: d.settle()}
	_, err = rest.Poll(ctx, nil, o, func() (rest.Progress, bool, error) {
		all, err := d.Identity.Policies(ctx, account, a.Policy.Type, "")
		if found = slices.ContainsFunc(all, a.GrantedBy); err == nil && !found && !said {
			said = true
			d.say("check: waiting up to %[2]v for a new authorization %[1]s to become visible", a.Name, d.settle())
		}
		return rest.Progress{}, found, err
	})
	if errors.Is(err, rest.ErrTimeout) {
		err = nil
	}
	return found, err
}

// checkDisk checks that the cloud accepts a disk of this size, and that a server
// can probably start from it.
func (d *Deployment) checkDisk(ctx context.Context) error {
	disk, err := d.o.Source.Open(ctx)
	if err != nil {
		return err
	}
	defer disk.Close()
	if err := (luksimg.EncryptOptions{Profile: luksimg.Profile(d.Plan.Profile)}).CheckSize(disk.Size()); err != nil {
		return rest.WithHint(err, "make the disk smaller first")
	}
	refuse := func(what, hint string) error {
		if d.o.AnyDisk {
			d.warn("%s: %s", d.o.Source.Name, what)
			return nil
		}
		return rest.WithHint(fmt.Errorf("%s: %s", d.o.Source.Name, what), hint+"; --any-disk skips this check")
	}
	if !bootable(disk.Image) {
		if err := refuse("the disk has no boot signature: no server can start from it",
			"check that this is the image of a whole disk, not of a partition or a file"); err != nil {
			return err
		}
	}
	c, err := contents.Inspect(ctx, disk.Image)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return nil // cannot be determined
	}
	for _, text := range c.Obstacles() {
		d.warn("%s: %s", d.o.Source.Name, text)
	}
	if c.CloudInit == contents.NotFound {
		return refuse("the disk lacks cloud-init, which an encrypted image requires: its server would have no network and no user",
			"install cloud-init in the image")
	}
	return nil
}

// bootable reports whether a disk has a partition table, or the BIOS boot signature in its first
// sector.
func bootable(src image.Source) bool {
	b := make([]byte, 2)
	if _, err := src.ReadAt(b, 510); err != nil && err != io.EOF {
		return false
	}
	return b[0] == 0x55 && b[1] == 0xaa || luksimg.LabelOf(src) != luksimg.NoLabel
}
