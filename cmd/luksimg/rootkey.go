package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

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

// openFor returns the root key of an envelope. One in the cloud need not be named, as its
// CRN is in the envelope.
func (o *rootKeyFlags) openFor(ctx context.Context, e *wrap.Envelope) (*wrap.RootKey, error) {
	own := *o
	if !own.given() {
		if own.crn = e.RootKeyCRN; own.crn == "" {
			return nil, rest.WithHint(fmt.Errorf("the root key of the envelope is %s", e.KMS), "name its file with --kms local:FILE")
		}
	}
	k, err := own.open(ctx)
	if err != nil {
		return nil, err
	}
	return k, k.Opens(e)
}
