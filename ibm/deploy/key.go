package deploy

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
)

// makeKey generates and wraps the data key, checks that it unwraps, and writes the
// envelope. The wrapped key is saved in the state before the envelope, so that a repeated run
// uses the same key.
func (d *Deployment) makeKey(ctx context.Context, _ time.Time) error {
	e, err := d.readEnvelope()
	f := d.o.Finished
	there := err == nil && f != nil && f.Envelope != nil && e.WDEK == f.Envelope.WDEK && (d.WDEK == "" || d.WDEK == e.WDEK)
	switch {
	case there: // luksimg shard finish --envelope wrote it
	case err == nil && e.WDEK == d.WDEK:
		return nil
	case err == nil:
		return rest.WithHint(fmt.Errorf("%s exists and belongs to another image", d.Plan.Envelope), "remove or rename it, or name another file with --envelope")
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if d.WDEK == "" {
		wrapped := d.wrapKey
		if f != nil {
			wrapped = func(context.Context) error { return d.takeKey(f) }
		}
		if err := wrapped(ctx); err != nil {
			return err
		}
	}
	if there {
		if e, err = d.openedEnvelope(); err != nil {
			return err
		}
	} else {
		e = &wrap.Envelope{
			WDEK: d.WDEK, RootKeyCRN: d.Plan.RootKeyCRN, Convention: d.rules.Convention,
			KeyFingerprint: d.KeyFingerprint, Created: time.Now(), Tool: d.Tool,
		}
		if d.Plan.hasUUID() {
			e.ImageUUID = d.ImageUUID
		}
	}
	key, err := d.open(ctx, e)
	if err != nil {
		return fmt.Errorf("checking the wrapped key by unwrapping it: %w", err)
	}
	defer key.Clear()
	if err := d.saveKey(key.Disk); err != nil || there {
		return err
	}
	if err := e.Bind(key.Disk); err != nil {
		return err
	}
	out, err := d.o.Files.Create(d.Plan.Envelope, 0o644)
	if err != nil {
		return err
	}
	defer out.Abort()
	if err := e.Write(out); err != nil {
		return err
	}
	return out.Commit()
}

// wrapKey generates the data key, or uses the given one, and wraps it.
func (d *Deployment) wrapKey(ctx context.Context) error {
	material, err := d.material(ctx)
	if err != nil {
		return err
	}
	defer clear(material)
	keys, err := d.rules.Convention.Keys(material)
	if err != nil {
		return rest.WithHint(err, "luksimg keygen FILE generates a suitable key")
	}
	defer keys.Clear()
	d.Log.AddSecret(keys.Plaintext)
	d.Log.AddSecret(keys.Disk)
	wdek, err := d.RootKey.Wrap(ctx, keys.Plaintext)
	if err := d.Log.Did(audit.ActionWrap, d.Plan.RootKeyCRN, nil, err); err != nil {
		return err
	}
	d.WDEK, d.KeyFingerprint, d.KeyGiven = wdek, wrap.Fingerprint(keys.Disk), d.o.Key != nil
	return d.save()
}

// material returns the given key, or a new one.
func (d *Deployment) material(ctx context.Context) ([]byte, error) {
	if d.o.Key != nil {
		return d.o.Key(ctx)
	}
	dek, err := wrap.NewDEK(wrap.Size64)
	if err != nil {
		return nil, err
	}
	defer clear(dek)
	return d.rules.Convention.Material(dek)
}

// saveKey writes the key to --keep-key, unless an earlier run has done so.
func (d *Deployment) saveKey(disk []byte) error {
	if d.o.KeepKey == "" {
		return nil
	}
	f, err := d.o.Files.Create(d.o.KeepKey, 0o600)
	if errors.Is(err, fs.ErrExist) {
		there, err := d.readFile(d.o.KeepKey, int64(len(disk)))
		defer clear(there)
		if err == nil && subtle.ConstantTimeCompare(there, disk) == 1 {
			return nil
		}
	}
	if err != nil {
		return rest.WithHint(fmt.Errorf("key file: %w", err), "a key file is never replaced: choose another name")
	}
	defer f.Abort()
	if _, err := f.Write(disk); err != nil {
		return err
	}
	return f.Commit()
}

// open unwraps the key of an envelope, without an audit event.
func (d *Deployment) open(ctx context.Context, e *wrap.Envelope) (*wrap.Opened, error) {
	key, err := wrap.Open(ctx, d.RootKey, e)
	if err != nil {
		return nil, err
	}
	d.Log.AddSecret(key.Disk)
	keys, err := e.Convention.Keys(key.Disk)
	if err != nil {
		return nil, err
	}
	defer keys.Clear()
	d.Log.AddSecret(keys.Plaintext)
	return key, nil
}

// openedEnvelope returns the envelope of this deployment.
func (d *Deployment) openedEnvelope() (*wrap.Envelope, error) {
	e, err := d.readEnvelope()
	switch {
	case err != nil:
		return nil, rest.WithHint(err, "the image cannot be opened without the envelope: restore it, or begin another deployment")
	case e.WDEK != d.WDEK || e.RootKeyCRN != d.Plan.RootKeyCRN || e.Convention != d.rules.Convention:
		return nil, rest.WithHint(fmt.Errorf("%s is not the envelope of this image", d.Plan.Envelope), "restore the right envelope, or begin another deployment")
	}
	return e, nil
}

// readEnvelope reads the envelope file.
func (d *Deployment) readEnvelope() (*wrap.Envelope, error) {
	f, err := d.o.Files.Open(d.Plan.Envelope)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	e, err := wrap.ReadEnvelope(io.NewSectionReader(f, 0, f.Size()))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Plan.Envelope, err)
	}
	return e, nil
}

// readFile returns the content of a file of n bytes, or nil if it has another size.
func (d *Deployment) readFile(name string, n int64) ([]byte, error) {
	f, err := d.o.Files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size() != n {
		return nil, nil
	}
	b := make([]byte, n)
	_, err = io.ReadFull(io.NewSectionReader(f, 0, n), b)
	return b, err
}
