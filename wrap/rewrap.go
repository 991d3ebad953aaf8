package wrap

import (
	"context"
	"fmt"

	"github.com/luksimg/luksimg/internal/advice"
)

// A RootKey is a root key with the name that envelopes use. One of CRN and KMS is set.
type RootKey struct {
	Wrapper
	Unwrapper

	CRN string // a root key of IBM Cloud
	KMS string // a root key of another keeper, as in [Envelope]
}

// String returns CRN or KMS, whichever is set.
func (k *RootKey) String() string { return k.CRN + k.KMS }

// Opens returns an error if the envelope names another root key. It compares the names only.
func (k *RootKey) Opens(e *Envelope) error {
	if is := e.RootKeyCRN + e.KMS; is != k.String() {
		return advice.With(fmt.Errorf("the root key %s wrapped the key, not %s", is, k), "name the root key that wrapped it")
	}
	return nil
}

// A renewer is a Wrapper whose root key has versions.
type renewer interface {
	Rewrap(ctx context.Context, wdek string) (string, error)
}

// Renew returns a copy of e whose key is wrapped by the newest version of its root key. key is the result of [Open]
// for e. The copy has version 2, even if e has version 1.
func Renew(ctx context.Context, e *Envelope, key *Opened, root *RootKey) (*Envelope, error) {
	renewed := *e
	if r, ok := root.Wrapper.(renewer); ok {
		var err error
		if renewed.WDEK, err = r.Rewrap(ctx, e.WDEK); err != nil {
			return nil, err
		}
	} else if e.Bound() {
		return nil, advice.New("the root key has no versions", "name another root key with --new-kms or --new-root-key-crn")
	}
	if err := renewed.Bind(key.Disk); err != nil {
		return nil, err
	}
	again, err := Open(ctx, root, &renewed)
	if err != nil {
		return nil, unchanged(err)
	}
	again.Clear()
	return &renewed, nil
}

// Rewrap returns a copy of e whose key is wrapped by another root key. key is the result of [Open] for e. checked is
// as in [Seal]: if it is false, keep the old root key until somebody has unwrapped the copy.
func Rewrap(ctx context.Context, e *Envelope, key *Opened, to *RootKey) (moved *Envelope, checked bool, err error) {
	by, checked, err := Seal(ctx, to, key.Disk, SealOptions{Convention: e.Convention, RootKeyCRN: to.CRN, KMS: to.KMS, Unwrapper: to})
	if err != nil {
		return nil, false, unchanged(err)
	}
	m := *e
	m.WDEK, m.RootKeyCRN, m.KMS = by.WDEK, to.CRN, to.KMS
	if err := m.Bind(key.Disk); err != nil {
		return nil, false, err
	}
	return &m, checked, nil
}

func unchanged(err error) error { return fmt.Errorf("the envelope was not changed: %w", err) }
