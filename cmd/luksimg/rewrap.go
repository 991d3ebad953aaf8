package main

import (
	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/wrap"
)

type rewrapFlags struct {
	*global
	root     rootKeyFlags
	newKMS   string
	newCRN   string
	newRing  string
	envelope string
}

func newRewrap(g *global) *cobra.Command {
	o := &rewrapFlags{global: g}
	c := &cobra.Command{
		Use:   "rewrap",
		Short: "Wrap the key in an envelope anew, after a rotation or by another root key",
		Long: `Rewrap replaces the wrapped key in an envelope, all at once: by one of the newest version
of the same root key, which the service makes without showing the key; or by one of another
root key, which --new-root-key-crn or --new-kms names. The image stays as it is. Where the
old wrapped key was given to a cloud, give it the new one. An envelope of version 1, which
is not bound to its image, becomes one of version 2.

A root key in the cloud is the one that the envelope names; one in a file is named by
--kms local:FILE.` + cloudHelp,
		Example: `  luksimg rewrap --envelope disk.raw.envelope.json
  luksimg rewrap --envelope disk.envelope.json --kms local:root.key --new-root-key-crn "$CRN"`,
		Args: flags.Args(),
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	f := c.Flags()
	o.root.add(c, &g.cloud)
	f.StringVar(&o.newKMS, "new-kms", "", "another root key in a file to wrap with: local:`FILE`")
	f.StringVar(&o.newCRN, "new-root-key-crn", "", "another root key in the cloud to wrap with: its `CRN`")
	f.StringVar(&o.newRing, "new-key-ring", "", "the `ID` of the key ring of --new-root-key-crn")
	f.StringVar(&o.envelope, "envelope", "", "`FILE` with the wrapped key, as wrap wrote it")
	return c
}

func (o *rewrapFlags) run(c *cobra.Command) error {
	ctx, t := c.Context(), &o.Talk
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
	cloud := *o.root.cloud
	cloud.keyRing = o.newRing
	to := rootKeyFlags{cloud: &cloud, kms: o.newKMS, crn: o.newCRN}
	if to.given() {
		next, err := to.open(ctx)
		if err != nil {
			return err
		}
		var checked bool
		if e, checked, err = wrap.Rewrap(ctx, e, key, next); err != nil {
			return err
		}
		if !checked {
			t.Warn("this identity may not unwrap with the new root key, so that the result was not checked: keep the old root key until it was")
		}
		root = next
	} else if e, err = wrap.Renew(ctx, e, key, root); err != nil {
		return err
	}
	if err := commitEnvelope(out, e); err != nil {
		return err
	}
	t.Say("%s: wrapped anew by %s", o.envelope, root)
	return printEnvelope(t, e)
}
