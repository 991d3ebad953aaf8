package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/wrap"
)

type rewrapFlags struct {
	*global
	root     rootKeyFlags
	newKMS   string
	newCRN   string
	newRing  string
	envelope string
	part     flags.Partition
}

func newRewrap(g *global) *cobra.Command {
	o := &rewrapFlags{global: g}
	c := &cobra.Command{
		Use:   "rewrap [IMAGE]",
		Short: "Renew a wrapped key, after a rotation or with another root key",
		Long: `Rewrap replaces the wrapped key in an envelope, or in the token of the LUKS2 image IMAGE, in place. The
newest version of the same root key wraps the key again, without showing it. Or another root key wraps it,
which --new-root-key-crn or --new-kms names. The data stay as they are. If you gave the old wrapped key to a
cloud, give it the new one. An envelope of version 1, which is not bound to its image, becomes one of version 2.

The envelope names its root key if a service keeps it. For a root key in a file, give --kms local:FILE. A
token always needs --kms: no image makes luksimg contact a service.` + keyServiceHelp + cloudHelp,
		Example: `  luksimg rewrap --envelope disk.raw.envelope.json
  luksimg rewrap --envelope disk.envelope.json --kms local:root.key --new-root-key-crn "$CRN"
  luksimg rewrap --kms ibm disk.luks
  luksimg rewrap --kms local:root.key --new-kms local:other.key disk.luks`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return o.run(c)
			}
			return o.inPlace(c, args[0])
		},
	}
	f := c.Flags()
	o.root.add(c, &g.cloud)
	g.kdf.add(c)
	f.StringVar(&o.newKMS, "new-kms", "", "another root key to wrap with, by its `URI`: "+kmsNames)
	f.StringVar(&o.newCRN, "new-root-key-crn", "", "as --new-kms ibm:`CRN`")
	f.StringVar(&o.newRing, "new-key-ring", "", "the `ID` of the key ring of --new-root-key-crn")
	f.StringVar(&o.envelope, "envelope", "", "`FILE` with the wrapped key, as wrap wrote it")
	o.part.Add(c, "IMAGE")
	return c
}

// next returns the other root key to wrap with, or nil.
func (o *rewrapFlags) next(ctx context.Context) (*wrap.RootKey, error) {
	cloud := *o.root.cloud
	cloud.keyRing = o.newRing
	to := rootKeyFlags{cloud: &cloud, kms: o.newKMS, crn: o.newCRN}
	if !to.given() {
		return nil, nil
	}
	return to.open(ctx)
}

// renew wraps a key again: with next, or if next is nil with the newest version of root. It returns the new envelope
// and the root key that wrapped it.
func (o *rewrapFlags) renew(ctx context.Context, e *wrap.Envelope, key *wrap.Opened, root, next *wrap.RootKey) (*wrap.Envelope, *wrap.RootKey, error) {
	if next == nil {
		e, err := wrap.Renew(ctx, e, key, root)
		return e, root, err
	}
	e, checked, err := wrap.Rewrap(ctx, e, key, next)
	if err == nil && !checked {
		o.Warn("this identity may not unwrap with the new root key, so the result was not checked: keep the old root key until it is checked")
	}
	return e, next, err
}

func (o *rewrapFlags) run(c *cobra.Command) error {
	ctx, t := c.Context(), &o.Talk
	if o.part != 0 {
		return errors.New("--partition needs an IMAGE with a token")
	}
	if o.envelope == "" {
		return rest.WithHint(errors.New("neither an envelope nor an image is given"), "name an envelope with --envelope FILE, or as the argument an IMAGE that has a token")
	}
	e, root, key, err := o.root.openEnvelope(ctx, t, o.envelope)
	if err != nil {
		return err
	}
	defer key.Clear()
	out, err := output.Create(o.envelope, 0o666, true)
	if err != nil {
		return err
	}
	defer out.Abort()
	next, err := o.next(ctx)
	if err != nil {
		return err
	}
	if e, root, err = o.renew(ctx, e, key, root, next); err != nil {
		return err
	}
	if err := commitEnvelope(out, e); err != nil {
		return err
	}
	t.Say("%s: rewrapped by %s", o.envelope, root)
	return printEnvelope(t, e)
}

// inPlace rewraps the key in a token of an image.
func (o *rewrapFlags) inPlace(c *cobra.Command, name string) error {
	ctx := c.Context()
	switch {
	case o.envelope != "":
		return errors.New("--envelope and IMAGE exclude each other")
	case !o.root.given():
		return rest.WithHint(errors.New("no root key is given"), "name the root key of the token with --kms URI")
	}
	at, err := o.placeFor(ctx, name, o.part)
	if err != nil {
		return err
	}
	defer at.in.close()
	t, err := o.root.openToken(ctx, at.e.Header(), luks.AnySlot)
	if err != nil {
		return at.in.wrap(err)
	}
	defer t.clear()
	next, err := o.next(ctx)
	if err != nil {
		return err
	}
	e, root, err := o.renew(ctx, t.Envelope, t.key, t.root, next)
	if err != nil {
		return at.in.wrap(err)
	}
	text, err := wrap.Token{Envelope: e, Keyslots: t.Keyslots}.JSON()
	if err == nil {
		err = at.e.ReplaceToken(text, t.number)
	}
	if err != nil {
		return at.in.wrap(&tokenError{t.number, err})
	}
	o.Say("%s: token %d rewrapped by %s", name, t.number, root)
	return printEnvelope(&o.Talk, e)
}
