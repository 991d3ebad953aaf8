package main

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/wrap"
)

// A deployKind is what a profile means for a deployment.
type deployKind struct {
	convention wrap.Convention
	target     string // what of the cloud takes it
	extension  string // of the object: the cloud tells by it what the image is
	uuid       bool   // there is LUKS in it, which has the UUID that it is given
}

var deployKinds = map[string]deployKind{
	string(luksimg.ClassicLUKS): {wrap.ClassicLUKS, targetClassic, ".raw", true},
	string(luksimg.ClassicVHD):  {wrap.ClassicVHD, targetClassic, ".vhd-0.vhd", false},
	string(luksimg.VPCQCOW2):    {wrap.VPCQcow2, targetVPC, ".qcow2", true},
}

func (d *deployment) kind() deployKind { return deployKinds[d.Plan.Profile] }

// makeKey makes the data key, has it wrapped, checks that it unwraps, and writes the
// envelope. The wrapped key is in the state before it is in the envelope, so that there
// is one only.
func (d *deployment) makeKey(ctx context.Context, _ time.Time) error {
	e, err := readEnvelope(d.c.Context(), d.Plan.Envelope)
	switch {
	case err == nil && e.WDEK == d.WDEK:
		return nil
	case err == nil:
		return withHint(fmt.Errorf("%s is there, and is of another image", d.Plan.Envelope), "move it away, or name another file with --envelope")
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if d.WDEK == "" {
		if err := d.wrapKey(ctx); err != nil {
			return err
		}
	}
	e = &wrap.Envelope{
		WDEK: d.WDEK, RootKeyCRN: d.Plan.RootKeyCRN, Convention: d.kind().convention,
		KeyFingerprint: d.KeyFingerprint, Created: time.Now(), Tool: d.Tool,
	}
	if d.kind().uuid {
		e.ImageUUID = d.ImageUUID
	}
	key, err := d.open(ctx, e)
	if err != nil {
		return fmt.Errorf("the wrapped key was checked by unwrapping it: %w", err)
	}
	defer key.Clear()
	if err := d.saveKey(key.Disk); err != nil {
		return err
	}
	if err := e.Bind(key.Disk); err != nil {
		return err
	}
	f, err := output.Create(d.Plan.Envelope, 0o644, false)
	if err != nil {
		return err
	}
	defer f.Abort()
	if err := e.Write(f); err != nil {
		return err
	}
	return f.Commit()
}

// wrapKey makes the data key, or takes the one that was given, and has it wrapped.
func (d *deployment) wrapKey(ctx context.Context) error {
	material, err := d.material(ctx)
	if err != nil {
		return err
	}
	defer clear(material)
	keys, err := d.kind().convention.Keys(material)
	if err != nil {
		return withHint(err, "luksimg keygen FILE makes a key that fits")
	}
	defer keys.Clear()
	d.log.AddSecret(string(keys.Plaintext))
	d.log.AddSecret(string(keys.Disk))
	wdek, err := d.root.Wrap(ctx, keys.Plaintext)
	if err := d.log.Did(audit.ActionWrap, d.Plan.RootKeyCRN, nil, err); err != nil {
		return err
	}
	d.WDEK, d.KeyFingerprint, d.KeyGiven = wdek, wrap.Fingerprint(keys.Disk), d.keyFile != ""
	return d.save()
}

// material returns the key that was given, or a new one.
func (d *deployment) material(ctx context.Context) ([]byte, error) {
	if d.keyFile != "" {
		return readKeyFile(ctx, d.keyFile)
	}
	dek, err := wrap.NewDEK(wrap.Size64)
	if err != nil {
		return nil, err
	}
	defer clear(dek)
	return d.kind().convention.Material(dek)
}

// saveKey writes the key to --keep-key, unless an earlier run has done so.
func (d *deployment) saveKey(disk []byte) error {
	if d.keepKey == "" {
		return nil
	}
	f, err := output.Create(d.keepKey, 0o600, false)
	if errors.Is(err, fs.ErrExist) {
		there, err := os.ReadFile(d.keepKey)
		defer clear(there)
		if err == nil && subtle.ConstantTimeCompare(there, disk) == 1 {
			return nil
		}
	}
	if err != nil {
		return withHint(fmt.Errorf("key file: %w", err), "a key file is never replaced: choose another name")
	}
	defer f.Abort()
	if _, err := f.Write(disk); err != nil {
		return err
	}
	return f.Commit()
}

// open unwraps the key of an envelope, which is in no audit log.
func (d *deployment) open(ctx context.Context, e *wrap.Envelope) (*wrap.Opened, error) {
	key, err := wrap.Open(ctx, d.root, e)
	if err != nil {
		return nil, err
	}
	d.log.AddSecret(string(key.Disk))
	keys, err := e.Convention.Keys(key.Disk)
	if err != nil {
		return nil, err
	}
	defer keys.Clear()
	d.log.AddSecret(string(keys.Plaintext))
	return key, nil
}

// openedEnvelope returns the envelope of this deployment.
func (d *deployment) openedEnvelope() (*wrap.Envelope, error) {
	e, err := readEnvelope(d.c.Context(), d.Plan.Envelope)
	switch {
	case err != nil:
		return nil, withHint(err, "without the envelope nobody can open the image: get it back, or begin another deployment")
	case e.WDEK != d.WDEK || e.RootKeyCRN != d.Plan.RootKeyCRN || e.Convention != d.kind().convention:
		return nil, withHint(fmt.Errorf("%s is not the envelope of this image", d.Plan.Envelope), "get it back, or begin another deployment")
	}
	return e, nil
}
