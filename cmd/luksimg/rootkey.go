package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

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

// A rootKey wraps and unwraps.
type rootKey struct {
	wrap.Wrapper
	wrap.Unwrapper

	crn, kms string // as in an envelope: one of them is ""
}

// name is what a person knows it by.
func (k *rootKey) name() string { return k.crn + k.kms }

// localPrefix is that of --kms, and of the kms of an envelope.
const localPrefix = "local:"

// localFile returns the name of the file in a value of --kms.
func localFile(kms string) (string, error) {
	name, ok := strings.CutPrefix(kms, localPrefix)
	if !ok || name == "" {
		return "", rest.WithHint(fmt.Errorf("--kms %s: want local:FILE", kms), "a root key in Key Protect is named by --root-key-crn")
	}
	return name, nil
}

// open returns the root key that the flags name.
func (o *rootKeyFlags) open(ctx context.Context) (*rootKey, error) {
	switch {
	case o.kms != "" && o.crn != "":
		return nil, errors.New("--kms and --root-key-crn exclude each other")
	case o.crn != "":
		k, err := o.cloud.keyProtect(ctx, o.crn)
		if err != nil {
			return nil, err
		}
		return &rootKey{Wrapper: k, Unwrapper: k, crn: k.CRN().String()}, nil
	case o.kms == "" && os.Getenv(envRootKey) != "":
		return (&rootKeyFlags{cloud: o.cloud, crn: os.Getenv(envRootKey)}).open(ctx)
	case o.kms == "":
		return nil, rest.WithHint(errors.New("no root key was named"), "name it with --kms local:FILE or --root-key-crn CRN")
	}
	name, err := localFile(o.kms)
	if err != nil {
		return nil, err
	}
	k, err := local.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, rest.WithHint(err, "luksimg keygen --kms "+o.kms+" makes one")
	}
	if err != nil {
		return nil, err
	}
	return &rootKey{Wrapper: k, Unwrapper: k, kms: localPrefix + k.ID()}, nil
}

// openFor returns the root key of an envelope. One in the cloud need not be named, as its
// CRN is in the envelope.
func (o *rootKeyFlags) openFor(ctx context.Context, e *wrap.Envelope) (*rootKey, error) {
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
	if is := e.RootKeyCRN + e.KMS; is != k.name() {
		return nil, rest.WithHint(fmt.Errorf("the envelope is of the root key %s, not of %s", is, k.name()), "name the root key that wrapped it")
	}
	return k, nil
}
