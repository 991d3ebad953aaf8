package main

import (
	"context"
	"errors"
	"fmt"
	"github.com/luksimg/luksimg/ibm/account"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

// The steps of a deployment, by the names that the state and messages have.
const (
	stepCheck      = "check"
	stepKey        = "key"
	stepEncrypt    = "encrypt"
	stepUpload     = "upload"
	stepImport     = "import"
	stepWaitImport = "wait for import"
	stepOrder      = "order"
	stepWaitOrder  = "wait for server"
)

// A deployment is one run of deploy.
type deployment struct {
	*deployFlags
	*deployState
	c   *cobra.Command
	t   *talk
	log *auditLog
	src string

	object   cos.Object
	identity *iam.Client
	root     *keyprotect.Client
	store    *cos.Client
	classic  *softlayer.Client // one of the two, by the kind
	vpc      *vpc.Client
}

// connect makes the clients. It sends nothing.
func (d *deployment) connect() (err error) {
	if d.identity, err = d.cloud.iam(); err != nil {
		return err
	}
	// The correlation is in the events of the key service too.
	d.root, err = keyprotect.New(keyprotect.Options{
		CRN: d.Plan.RootKeyCRN, Tokens: d.identity, URL: d.cloud.url(serviceKMS), Private: d.cloud.private, CorrelationID: d.ID,
	})
	if err != nil {
		return err
	}
	if d.store, err = d.cloud.cos(""); err != nil {
		return err
	}
	if d.kind().target == targetVPC {
		d.vpc, err = d.cloud.vpcClient(d.object.Region)
	} else {
		d.classic, err = d.cloud.classicClient()
	}
	return err
}

// check finds what would make a later step fail, before hours are spent on those between.
func (d *deployment) check(ctx context.Context, _ time.Time) error {
	key, err := crn.ParseRootKey(d.Plan.RootKeyCRN)
	if err != nil {
		return err
	}
	if d.kind().target == targetClassic {
		secret, err := d.handover.read()
		if err != nil {
			return err
		}
		clear(secret)
	}
	if err := d.checkDisk(ctx); err != nil {
		return err
	}
	b, err := d.store.Bucket(ctx, d.object.Region, d.object.Bucket)
	if err == nil {
		if err = b.CheckImages(key.Region); err != nil {
			err = fmt.Errorf("%w: %w", errWouldRefuse, err)
		}
	}
	switch {
	case errors.Is(err, cos.ErrBucketRegion):
		return withHint(err, "bucket and root key must be in one region: make a regional bucket in "+key.Region+" with luksimg setup")
	case err != nil:
		return err
	}
	return d.checkAuthorizations(ctx, key)
}

var errWouldRefuse = rest.NewRefusal("the cloud would refuse it", nil)

// checkAuthorizations looks for what the services of the cloud need. An image imports
// without some of them, and no server starts from it.
func (d *deployment) checkAuthorizations(ctx context.Context, key crn.CRN) error {
	// The instance of Object Storage is not known here: one for any will do.
	need := account.Authorizations(key.Account, key, d.kind().target == targetVPC, "")
	if d.kind().target == targetVPC {
		need = need[:2]
	}
	for _, a := range need {
		switch ok, err := d.findPolicy(ctx, key.Account, a); {
		case errors.Is(err, iam.ErrDenied):
			d.t.warn("this API key may not list authorizations: whether there is that %s will show at the import", a.Name)
		case err != nil:
			return err
		case !ok:
			return withHint(fmt.Errorf("%w: there is no authorization %s, without which no server starts", errWouldRefuse, a.Name),
				"luksimg setup --target "+d.kind().target+" makes it, or: "+a.Command)
		}
	}
	return nil
}

// findPolicy looks for an authorization, for as long as one that was just made may take
// to be seen.
func (d *deployment) findPolicy(ctx context.Context, account string, a account.Authorization) (found bool, err error) {
	said := false
	o := rest.WaitOptions{Interval: min(d.wait.poll, 5*time.Second), Timeout: d.cloud.settle}
	_, err = rest.Poll(ctx, nil, o, func() (rest.Progress, bool, error) {
		if _, found, err = d.identity.FindPolicy(ctx, account, a.Policy); err == nil && !found && !said {
			said = true
			d.t.say("check: there is no authorization %s yet: one that was just made may take up to %v to be seen", a.Name, d.cloud.settle)
		}
		return rest.Progress{}, found, err
	})
	if errors.Is(err, rest.ErrTimeout) {
		err = nil
	}
	return found, err
}

// encryptImage writes the image of the profile that the key opens.
func (d *deployment) encryptImage(ctx context.Context, dst *output.File, src image.Source, key []byte, o luksimg.RunOptions) (*luksimg.Result, error) {
	opts := luksimg.EncryptOptions{Profile: luksimg.Profile(d.Plan.Profile), RunOptions: o}
	if d.kind().uuid {
		// A key that was given may be a passphrase, which needs stretching.
		opts.LUKS = luks.Options{UUID: d.ImageUUID, GeneratedKey: !d.KeyGiven}
	}
	spareProcessor()
	return luksimg.Encrypt(ctx, dst, src, key, opts)
}

// encrypt makes the image, under its name only when it is whole. The first run takes no
// name that is taken, so that what a later one finds there is the image.
func (d *deployment) encrypt(ctx context.Context, before time.Time) error {
	if size, ok := d.imageThere(); ok && !before.IsZero() {
		d.ImageSize = size
		return nil
	}
	e, err := d.openedEnvelope()
	if err != nil {
		return err
	}
	s, err := d.source.open(d.c, d.t, d.src)
	if err != nil {
		return err
	}
	defer s.close()
	disk := &diskSource{source: s, size: s.img.Size(), format: string(s.img.Format)}
	out, err := output.Create(d.Plan.Image, 0o600, false)
	if err != nil {
		return withHint(err, "move it away, or name another file with --image")
	}
	defer out.Abort()
	key, err := d.open(ctx, e)
	if err != nil {
		return err
	}
	defer key.Clear()
	p, err := d.progress.start(d.t, "encrypt", disk.size)
	if err != nil {
		return err
	}
	r, err := d.encryptImage(ctx, out, s.img, key.Disk, luksimg.RunOptions{Jobs: int(d.jobs), Progress: p.Add})
	p.Done()
	if err == nil {
		err = s.unchanged()
	}
	if err == nil {
		disk.label(d.t, r)
		err = out.Commit()
	}
	if err := d.log.Did(audit.ActionEncrypt, d.ImageUUID, map[string]any{"crkCrn": d.Plan.RootKeyCRN, "profile": d.Plan.Profile}, err); err != nil {
		return err
	}
	d.ImageSize = r.FileSize
	return nil
}

// imageThere tells whether the file with the image is there, and its length.
func (d *deployment) imageThere() (int64, bool) {
	in, err := openInputFlags(d.c.Context(), d.Plan.Image, os.O_RDONLY)
	if err != nil {
		return 0, false
	}
	defer in.close()
	if d.Plan.Profile != string(luksimg.ClassicLUKS) {
		return in.size, true
	}
	h, err := luks.Open(in.f, in.size, luks.OpenOptions{})
	return in.size, err == nil && h.UUID() == d.ImageUUID
}

// upload sends the image, and goes on with an upload that was interrupted.
func (d *deployment) upload(ctx context.Context, before time.Time) error {
	in, err := openInputFlags(d.c.Context(), d.Plan.Image, os.O_RDONLY)
	if err != nil {
		return withHint(err, "the encrypted image is gone: get it back, or begin another deployment")
	}
	defer in.close()
	if in.size != d.ImageSize {
		return fmt.Errorf("%s: has %d bytes, and %d were written", d.Plan.Image, in.size, d.ImageSize)
	}
	if before.IsZero() {
		switch info, err := d.store.Head(ctx, d.object); {
		case err == nil && d.Replaces != "" && info.ETag == d.Replaces:
		case err == nil:
			return withHint(fmt.Errorf("%s: %w", d.object, cos.ErrExists), "give another name with --object, or remove it")
		case !errors.Is(err, cos.ErrNotFound):
			return err
		}
	}
	p, err := d.progress.start(d.t, "upload", in.size)
	if err != nil {
		return err
	}
	r, err := d.store.Upload(ctx, d.object, in.f, in.size, cos.UploadOptions{State: d.uploadState(), Progress: p.Add})
	p.Done()
	if err := d.log.Did(audit.ActionUpload, d.object.String(), map[string]any{"size": in.size, "image": d.ImageUUID}, err); err != nil {
		return err
	}
	d.ETag = r.ETag
	return nil
}

// uploadState is the file with what is known of the upload.
func (d *deployment) uploadState() cos.StateFile {
	return cos.StateFile(d.deployFlags.state + ".upload")
}

// checkObject tells whether the object is still what was uploaded.
func (d *deployment) checkObject(ctx context.Context) error {
	info, err := d.store.Head(ctx, d.object)
	if err == nil && (info.Size != d.ImageSize || d.ETag != "" && info.ETag != d.ETag) {
		err = fmt.Errorf("%s: %w: it has %d bytes and the tag %s, and %d bytes and %s were uploaded", d.object, cos.ErrChanged, info.Size, info.ETag, d.ImageSize, d.ETag)
	}
	if err != nil {
		return withHint(err, "somebody changed or removed the object: begin another deployment, with another --object")
	}
	return nil
}

// removeImage removes the encrypted image, which the cloud has now.
func (d *deployment) removeImage() {
	if d.keepImage {
		return
	}
	if size, ok := d.imageThere(); !ok || size != d.ImageSize {
		return
	}
	if err := os.Remove(d.Plan.Image); err != nil {
		d.t.warn("%v", err)
	}
}
