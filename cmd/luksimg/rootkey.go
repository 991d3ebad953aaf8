package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/local"
)

// rootKeyFlags choose the root key that wraps data encryption keys.
type rootKeyFlags struct {
	cloud *cloudFlags
	kms   string
	crn   string
}

func (o *rootKeyFlags) add(c *cobra.Command, cloud *cloudFlags) {
	o.cloud = cloud
	cloud.add(c, serviceKMS)
	c.Flags().StringVar(&o.kms, "kms", "", "a root key in a file: local:`FILE`")
	c.Flags().StringVar(&o.crn, "root-key-crn", "", "a root key in Key Protect or Hyper Protect Crypto Services: its `CRN` (default: $"+envRootKey+")")
}

// given tells whether any of the flags was used.
func (o *rootKeyFlags) given() bool { return o.kms != "" || o.crn != "" }

// open returns the root key that the flags name.
func (o *rootKeyFlags) open(ctx context.Context) (*wrap.RootKey, error) {
	crn := o.crn
	switch {
	case o.kms != "" && crn != "":
		return nil, errors.New("--kms and --root-key-crn exclude each other")
	case o.kms != "":
		return local.RootKey(o.kms)
	case crn == "":
		crn = os.Getenv(envRootKey)
	}
	if crn == "" {
		return nil, rest.WithHint(errors.New("no root key was named"), "name it with --kms local:FILE or --root-key-crn CRN")
	}
	k, err := o.cloud.keyProtect(ctx, crn, "")
	if err != nil {
		return nil, err
	}
	return k.RootKey(), nil
}

// openEnvelope returns the envelope in a file, its root key, and the key in it, which the caller
// wipes. A root key in the cloud need not be named, as its CRN is in the envelope.
func (o *rootKeyFlags) openEnvelope(ctx context.Context, t *talk.Talk, name string) (e *wrap.Envelope, root *wrap.RootKey, key *wrap.Opened, err error) {
	if e, err = readEnvelope(ctx, name); err != nil {
		return nil, nil, nil, err
	}
	own := *o
	if !own.given() {
		if own.crn = e.RootKeyCRN; own.crn == "" {
			return nil, nil, nil, rest.WithHint(fmt.Errorf("the root key of the envelope is %s", e.KMS), "name its file with --kms local:FILE")
		}
	}
	if root, err = own.open(ctx); err == nil {
		err = root.Opens(e)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	if key, err = wrap.Open(ctx, root, e); err != nil {
		return nil, nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	if !e.Bound() {
		t.Warn("%s has version 1, which does not tell whether it was exchanged for another one: luksimg rewrap --envelope %s makes it version %d",
			name, name, wrap.EnvelopeVersion)
	}
	return e, root, key, nil
}
