package wrap

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"
)

// SealOptions are the settings of [Seal]: the fields of the envelope besides the key. Exactly one of RootKeyCRN and
// KMS must be set.
type SealOptions struct {
	Convention Convention // of the key material; "" is [None]
	RootKeyCRN string     // the wrapper's root key in IBM Cloud
	KMS        string     // the wrapper's root key with another keeper
	ImageUUID  string     // the UUID of the image that the key opens; "" if unknown
	// Fingerprint puts the [Fingerprint] of the key into the envelope. Set it only for generated keys: an attacker
	// could search for a passphrase with its fingerprint.
	Fingerprint bool
	Created     time.Time // zero: not written
	Tool        string    // name and version of the program that makes the envelope
	// Unwrapper, if not nil, unwraps the wrapped key, and Seal compares the result. If the identity may wrap but not
	// unwrap, Seal skips this check: [ErrDenied] is not an error here.
	Unwrapper Unwrapper
}

// Seal wraps key material with a root key and returns the envelope, bound to the image, the convention and the root
// key. checked reports whether Seal unwrapped and compared the wrapped key. If the material breaks the rule of its
// convention, the error is [ErrKey].
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

// compare unwraps a wrapped key and compares it with its plaintext.
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
		return false, fmt.Errorf("checking the wrapped key: %w: it does not unwrap to the key that was wrapped", ErrWDEK)
	}
	return true, nil
}

// Opened is the result of [Open].
type Opened struct {
	Disk      []byte // the bytes that open the disk; secret
	Rewrapped string // see [Unwrapped]
}

// Clear wipes the key.
func (o *Opened) Clear() { clear(o.Disk) }

// String returns a fixed text, so that fmt does not print the key.
func (o Opened) String() string { return "wrap.Opened(redacted)" }

// GoString returns the same text as String, for fmt's %#v.
func (o Opened) GoString() string { return o.String() }

// MarshalJSON always returns an error, so that the key never reaches a JSON document.
func (o Opened) MarshalJSON() ([]byte, error) {
	return nil, errors.New("keys cannot be encoded as JSON")
}

// Open unwraps the key of an envelope. If the binding does not match the fields, the error is [ErrBinding]. Open
// cannot check an envelope of version 1: see [Envelope.Bound]. The caller wipes the result with Clear.
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

// open unwraps the key and checks its fingerprint.
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
		return nil, fmt.Errorf("%w: the unwrapped key does not match key_fingerprint", ErrBinding)
	}
	return &Opened{Disk: disk, Rewrapped: back.Rewrapped}, nil
}
