package wrap

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"
)

// SealOptions say what [Seal] puts into the envelope besides the key. One of RootKeyCRN
// and KMS must be set.
type SealOptions struct {
	Convention Convention // what the key material is; "" is [None]
	RootKeyCRN string     // the root key of the wrapper, if a cloud has it
	KMS        string     // the root key of the wrapper, if another keeper has it
	ImageUUID  string     // of the image that the key opens; "" if it is not known
	// Fingerprint puts the [Fingerprint] of the key into the envelope. It is for keys that
	// were generated: a passphrase could be searched for with it.
	Fingerprint bool
	Created     time.Time // zero is not written
	Tool        string    // what makes the envelope
	// Unwrapper, if not nil, unwraps the result, which is compared. An identity that may
	// wrap and not unwrap, which is [ErrDenied], is no error.
	Unwrapper Unwrapper
}

// Seal has key material wrapped by a root key and returns its envelope, which is bound to
// the image, the convention and the root key. checked reports whether the wrapped key was
// unwrapped and compared. Material that breaks the rule of its convention is [ErrKey].
func Seal(ctx context.Context, w Wrapper, material []byte, o SealOptions) (e *Envelope, checked bool, err error) {
	keys, err := o.Convention.Keys(material)
	if err != nil {
		return nil, false, err
	}
	defer keys.Clear()
	wdek, err := w.Wrap(ctx, keys.Plaintext)
	if err != nil {
		return nil, false, err
	}
	if o.Unwrapper != nil {
		if checked, err = compare(ctx, o.Unwrapper, wdek, keys.Plaintext); err != nil {
			return nil, false, err
		}
	}
	e = &Envelope{
		WDEK: wdek, RootKeyCRN: o.RootKeyCRN, KMS: o.KMS, Convention: o.Convention,
		ImageUUID: o.ImageUUID, Created: o.Created, Tool: o.Tool,
	}
	if o.Fingerprint {
		e.KeyFingerprint = Fingerprint(keys.Disk)
	}
	if err := e.check(); err != nil {
		return nil, false, err
	}
	return e, checked, e.Bind(keys.Disk)
}

// compare unwraps a key that was just wrapped.
func compare(ctx context.Context, u Unwrapper, wdek string, plaintext []byte) (bool, error) {
	back, err := u.Unwrap(ctx, wdek)
	if errors.Is(err, ErrDenied) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("checking the wrapped key: %w", err)
	}
	defer back.Clear()
	if subtle.ConstantTimeCompare(back.Plaintext, plaintext) != 1 {
		return false, fmt.Errorf("checking the wrapped key: %w: it unwraps to another key than the one that was wrapped", ErrWDEK)
	}
	return true, nil
}

// Opened is what [Open] gets out of an envelope.
type Opened struct {
	Disk      []byte // opens the disk; secret
	Rewrapped string // see [Unwrapped]
}

// Clear wipes the key.
func (o *Opened) Clear() { clear(o.Disk) }

// String hides the key from fmt.
func (o Opened) String() string { return "wrap.Opened(redacted)" }

// GoString hides the key from fmt's %#v.
func (o Opened) GoString() string { return o.String() }

// MarshalJSON refuses: keys belong in no JSON.
func (o Opened) MarshalJSON() ([]byte, error) { return nil, errors.New("keys are not for JSON") }

// Open unwraps the key of an envelope. That the envelope is put together of several, or was
// changed, is [ErrBinding]. An envelope of version 1 is opened, but says little of what it
// belongs to: see [Envelope.Bound]. The caller wipes the result with Clear.
func Open(ctx context.Context, u Unwrapper, e *Envelope) (*Opened, error) {
	o, err := e.open(ctx, u)
	if err != nil {
		return nil, err
	}
	if e.Bound() {
		if err := e.checkBinding(o.Disk); err != nil {
			o.Clear()
			return nil, err
		}
	}
	return o, nil
}

// open unwraps the key and compares its fingerprint.
func (e *Envelope) open(ctx context.Context, u Unwrapper) (*Opened, error) {
	back, err := u.Unwrap(ctx, e.WDEK)
	if err != nil {
		return nil, err
	}
	defer back.Clear()
	disk, err := e.Convention.Unwrapped(back.Plaintext)
	if err != nil {
		if e.Bound() {
			err = fmt.Errorf("%w: %w", ErrBinding, err)
		}
		return nil, err
	}
	if e.KeyFingerprint != "" && !SameKey(disk, e.KeyFingerprint) {
		clear(disk)
		return nil, fmt.Errorf("%w: the key that was unwrapped is not the one whose fingerprint it has", ErrBinding)
	}
	return &Opened{Disk: disk, Rewrapped: back.Rewrapped}, nil
}
