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
	"github.com/luksimg/luksimg/wrap/kmsuri"
	"github.com/luksimg/luksimg/wrap/local"
)

// rootKeyFlags select the root key that wraps data encryption keys.
type rootKeyFlags struct {
	cloud *cloudFlags
	kms   string
	crn   string
}

func (o *rootKeyFlags) add(c *cobra.Command, cloud *cloudFlags) {
	o.cloud = cloud
	cloud.add(c, serviceKMS)
	c.Flags().StringVar(&o.kms, "kms", "", "a root key by its `URI`: "+kmsNames)
	c.Flags().StringVar(&o.crn, "root-key-crn", "", "a root key in Key Protect or Hyper Protect Crypto Services: its `CRN` (default: $"+envRootKey+")")
}

// kmsNames lists the URIs of root keys for help texts.
const kmsNames = "local:FILE, ibm:CRN, vault:MOUNT/KEY, awskms:ARN or pkcs11:token=TOKEN;object=KEY"

// addOpening adds --kms to a verb that opens images by their tokens.
func (o *rootKeyFlags) addOpening(c *cobra.Command, cloud *cloudFlags) {
	o.cloud = cloud
	cloud.add(c, serviceKMS)
	c.Flags().StringVar(&o.kms, "kms", "", "open a LUKS2 image by its token, with a root key by its `URI`: "+kmsNames+"; ibm, vault, awskms or pkcs11 for the key that the token names")
}

// given reports whether any of the flags is set.
func (o *rootKeyFlags) given() bool { return o.kms != "" || o.crn != "" }

// uri returns the name of the root key from the flags or the environment.
func (o *rootKeyFlags) uri() (kmsuri.URI, error) {
	crn := o.crn
	switch {
	case o.kms != "" && crn != "":
		return kmsuri.URI{}, errors.New("--kms and --root-key-crn exclude each other")
	case o.kms != "":
		u, err := kmsuri.Parse(o.kms)
		if err != nil {
			err = fmt.Errorf("--kms %w", err)
		}
		return u, err
	case crn == "":
		crn = os.Getenv(envRootKey)
	}
	if crn == "" {
		return kmsuri.URI{}, rest.WithHint(errors.New("no root key is given"), "name it with --kms URI or --root-key-crn CRN")
	}
	return kmsuri.URI{Scheme: kmsuri.IBM, Name: crn}, nil // keyProtect reports errors in the CRN
}

// open returns the root key that the flags name.
func (o *rootKeyFlags) open(ctx context.Context) (*wrap.RootKey, error) {
	u, err := o.uri()
	if err != nil {
		return nil, err
	}
	if u.Name == "" {
		return nil, rest.WithHint(fmt.Errorf("--kms %s names no key", u), u.Scheme.Form())
	}
	return o.rootKey(ctx, u, nil)
}

// rootKey returns the root key of a URI. e is an envelope of that key, or nil. rootKey contacts no service, but it
// looks the key up on a PKCS#11 token.
func (o *rootKeyFlags) rootKey(ctx context.Context, u kmsuri.URI, e *wrap.Envelope) (*wrap.RootKey, error) {
	switch u.Scheme {
	case kmsuri.Local:
		return local.RootKey(u.String())
	case kmsuri.Vault:
		return vaultKey(ctx, u)
	case kmsuri.AWSKMS:
		return awsKey(ctx, u)
	case kmsuri.PKCS11:
		return o.pkcs11Key(ctx, u, e)
	}
	k, err := o.cloud.keyProtect(ctx, u.Name, "")
	if err != nil {
		return nil, err
	}
	return k.RootKey(), nil
}

// rootKeyOf returns the root key of an envelope, if the flags name that key.
func (o *rootKeyFlags) rootKeyOf(ctx context.Context, e *wrap.Envelope) (*wrap.RootKey, error) {
	u, err := o.uri()
	if err == nil {
		u, err = u.For(e)
	}
	if err != nil {
		return nil, err
	}
	root, err := o.rootKey(ctx, u, e)
	if err == nil {
		err = root.Opens(e)
	}
	lost := errors.Is(err, os.ErrNotExist) || errors.Is(err, local.ErrFile) && !errors.Is(err, local.ErrMode)
	if lost && u.Scheme == kmsuri.Local {
		err = rest.WithHint(err, "use the root key file that wrapped the key, or a copy of it: a new root key does not open the image")
	}
	return root, err
}

// openEnvelope returns the envelope in a file, its root key, and its unwrapped key, which the caller wipes. Without a
// flag it uses the root key that the envelope names, unless that is in a file.
func (o *rootKeyFlags) openEnvelope(ctx context.Context, t *talk.Talk, name string) (e *wrap.Envelope, root *wrap.RootKey, key *wrap.Opened, err error) {
	if e, err = readEnvelope(ctx, name); err != nil {
		return nil, nil, nil, err
	}
	own := *o
	if !own.given() {
		u, err := kmsuri.Of(e)
		if err != nil || u.Scheme == kmsuri.Local {
			return nil, nil, nil, rest.WithHint(fmt.Errorf("the root key of the envelope is %s", e.KMS), "name its file with --kms local:FILE")
		}
		own.kms = u.String()
	}
	if root, err = own.rootKeyOf(ctx, e); err != nil {
		return nil, nil, nil, err
	}
	if key, err = wrap.Open(ctx, root, e); err != nil {
		return nil, nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	if !e.Bound() {
		t.Warn("%s has version 1, so luksimg cannot detect whether it belongs to another image: luksimg rewrap --envelope %s makes it version %d",
			name, name, wrap.EnvelopeVersion)
	}
	return e, root, key, nil
}
