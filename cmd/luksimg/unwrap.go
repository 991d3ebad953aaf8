package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/wrap"
)

type unwrapFlags struct {
	*global
	root     rootKeyFlags
	envelope string
	image    string
}

func newUnwrap(g *global) *cobra.Command {
	o := &unwrapFlags{global: g}
	c := &cobra.Command{
		Use:   "unwrap KEYFILE",
		Short: "Get the key of an image back from its envelope or its token",
		Long: `Unwrap gets the key of an image back: the root key unwraps the wrapped key of an envelope, or with --kms
and --image the one in a token of the image. It writes the key to KEYFILE, a new file that only you can read,
for decrypt --key-file. It never replaces a key file. With - for KEYFILE the key goes to standard output, if
that is a pipe or a file.

The envelope names its root key if a service keeps it. For a root key in a file, give --kms local:FILE.` + keyServiceHelp + cloudHelp,
		Example: `  luksimg unwrap --envelope disk.raw.envelope.json dek.b64
  luksimg unwrap --kms local:root.key --image disk.luks dek.b64
  luksimg unwrap --envelope disk.envelope.json --kms local:root.key - |
      luksimg decrypt --key-file - disk.luks disk.raw`,
		Args: flags.Args("KEYFILE"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0]) },
	}
	f := c.Flags()
	o.root.add(c, &g.cloud)
	g.cloud.add(c, serviceCOS)
	f.StringVar(&o.envelope, "envelope", "", "`FILE` with the wrapped key, as wrap wrote it")
	g.kdf.add(c)
	f.StringVar(&o.image, "image", "", "the encrypted image, a `FILE` or cos://; the key must open it, or KEYFILE is not written")
	return c
}

// unwrapResult is the output of unwrap --json.
type unwrapResult struct {
	Output        string   `json:"output"`
	Bytes         int      `json:"bytes"`
	KeyConvention string   `json:"key_convention"`
	RootKey       string   `json:"root_key"`
	Rotated       bool     `json:"rotated"` // whether the root key was rotated after it wrapped the key
	Warnings      []string `json:"warnings,omitempty"`
}

func (o *unwrapFlags) run(c *cobra.Command, dst string) error {
	ctx, t := c.Context(), &o.Talk
	out, err := o.keyOutput("KEYFILE", dst)
	if err != nil {
		return err
	}
	defer out.abort()
	if o.envelope == "" && o.image != "" {
		return o.fromToken(c, dst, out)
	}
	e, root, key, err := o.root.openEnvelope(ctx, t, o.envelope)
	if err != nil {
		return err
	}
	defer key.Clear()
	disk, rotated := key.Disk, key.Rewrapped != ""
	if o.image != "" {
		uuid, err := imageUUID(ctx, o.global, o.image, disk)
		if err != nil {
			return err
		}
		switch {
		case e.ImageUUID == "" || uuid == e.ImageUUID:
		case e.Bound():
			return rest.WithHint(fmt.Errorf("the key opens %s, but the envelope is for the image with UUID %s, not %s", o.image, e.ImageUUID, uuid),
				"name the envelope of this image; without --image the key is written all the same")
		default:
			t.Warn("the key opens %s, but the envelope is for the image with UUID %s, not %s", o.image, e.ImageUUID, uuid)
		}
	}
	if rotated {
		t.Warn("the root key was rotated since this key was wrapped: luksimg rewrap --envelope %s wraps it by the newest version", o.envelope)
	}
	return o.finish(dst, out, disk, e, root, rotated)
}

// fromToken gets the key from a token of the image.
func (o *unwrapFlags) fromToken(c *cobra.Command, dst string, out keyOutput) error {
	if !o.root.given() {
		return rest.WithHint(errors.New("no root key is given"), "name the root key of the token with --kms URI, or an envelope with --envelope FILE")
	}
	in, err := openLUKS(c.Context(), o.global, o.image, 0, "", luks.OpenOptions{})
	if err != nil {
		return err
	}
	defer in.close()
	k, err := o.root.openToken(c.Context(), in.h, luks.AnySlot)
	if err != nil {
		return in.wrap(err)
	}
	defer k.clear()
	rotated := k.key.Rewrapped != ""
	if rotated {
		o.Warn("the root key was rotated since this key was wrapped: luksimg rewrap %s wraps it by the newest version", o.image)
	}
	return o.finish(dst, out, k.key.Disk, k.Envelope, k.root, rotated)
}

// finish writes the key and prints the result.
func (o *unwrapFlags) finish(dst string, out keyOutput, disk []byte, e *wrap.Envelope, root *wrap.RootKey, rotated bool) error {
	if err := out.finish(disk); err != nil || out.stdout() {
		return err
	}
	return o.Result(unwrapResult{
		Output: dst, Bytes: len(disk), KeyConvention: string(e.Convention), RootKey: root.String(), Rotated: rotated, Warnings: o.Warnings,
	}, talk.Line("%s: the key, %d bytes", dst, len(disk)))
}
