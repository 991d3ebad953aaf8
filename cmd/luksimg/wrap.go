package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/wrap"
)

type wrapFlags struct {
	*global
	root     rootKeyFlags
	key      keys.Flags
	audit    auditFlags
	profile  string
	envelope string
	image    string
	token    string
	part     flags.Partition
	force    bool
}

func newWrap(g *global) *cobra.Command {
	o := &wrapFlags{global: g}
	c := &cobra.Command{
		Use:   "wrap",
		Short: "Wrap a data encryption key with a root key",
		Long: `Wrap encrypts the key of an image with a root key and prints the wrapped key (WDEK). The wrapped key is
no secret: only the keeper of the root key can unwrap it. With --envelope, wrap also writes a file with
everything that is needed to use the wrapped key. With --token, it stores this in a token in the header of a
LUKS2 image, which then opens with --kms alone. The token replaces one of the same root key.

--root-key-crn, or --kms ibm:CRN, names a root key in IBM Key Protect or Hyper Protect Crypto Services.
--kms local:FILE names a root key in a file, which luksimg keygen --kms local:FILE makes. Other services are
described below.

The flags for the key are those of encrypt. --profile says how the cloud uses the key: classic-luks wraps the
base64 text as it is, classic-vhd the 32 or 64 bytes, vpc-qcow2 the text of the passphrase. If the identity
is allowed to unwrap, wrap unwraps the key again and compares. With --image it also tries the key on the
image.` + keyServiceHelp + cloudHelp,
		Example: `  luksimg wrap --kms local:root.key --key-file dek.b64 --envelope disk.envelope.json
  luksimg wrap --kms local:root.key --key-file dek.b64 --token disk.luks
  luksimg wrap --root-key-crn "$CRN" --key-file dek.b64 --profile classic-luks \
      --image disk.raw --envelope disk.raw.envelope.json`,
		Args: flags.Args(),
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	f := c.Flags()
	o.root.add(c, &g.cloud)
	g.cloud.add(c, serviceCOS)
	o.key.Add(c, "")
	g.kdf.add(c)
	f.StringVar(&o.profile, "profile", "", "how the cloud uses the key: classic-luks, classic-vhd or vpc-qcow2")
	f.StringVar(&o.envelope, "envelope", "", "write the wrapped key, and everything needed to use it, to `FILE` as JSON")
	f.StringVar(&o.image, "image", "", "the encrypted image, a `FILE` or cos://; the key must open it, and the envelope gets its UUID")
	f.StringVar(&o.token, "token", "", "put the wrapped key into a token of the LUKS2 image in `FILE`, which the key must open")
	o.part.Add(c, "the image of --token")
	f.BoolVar(&o.force, "force", false, "replace the envelope if it exists")
	o.audit.add(c)
	return c
}

func (o *wrapFlags) run(c *cobra.Command) error {
	ctx, t := c.Context(), &o.Talk
	if err := errors.Join(flags.AtMostOne(c, "key-file", "passphrase-file", "key-fd"), flags.AtMostOne(c, "image", "token")); err != nil {
		return err
	}
	if o.part != 0 && o.token == "" {
		return errors.New("--partition needs --token")
	}
	convention, err := wrap.ParseConvention(o.profile)
	if err != nil {
		return err
	}
	root, err := o.root.open(ctx)
	if err != nil {
		return err
	}
	var out *output.File // created before asking for a passphrase
	if o.envelope != "" {
		if out, err = output.Create(o.envelope, 0o666, o.force); err != nil {
			return err
		}
		defer out.Abort()
	}
	material, err := o.key.Read(ctx, t, "the image", false)
	if err != nil {
		return err
	}
	defer clear(material)
	if err := convention.Check(material); err != nil {
		return err
	}
	var at *tokenPlace
	if o.token != "" {
		if at, err = o.placeFor(ctx, o.token, o.part); err != nil {
			return err
		}
		defer at.in.close()
	}
	var uuid string
	if at != nil {
		if uuid, err = at.take(ctx, convention, material); err != nil {
			return o.key.Explain(err, material)
		}
	}
	if o.image != "" {
		if uuid, err = imageUUID(ctx, o.global, o.image, material); err != nil {
			return err
		}
	}
	log, err := o.audit.open("")
	if err != nil {
		return err
	}
	defer log.Close()
	log.AddSecret(material)
	e, checked, err := wrap.Seal(ctx, root, material, wrap.SealOptions{
		Convention: convention, RootKeyCRN: root.CRN, KMS: root.KMS, ImageUUID: uuid, Fingerprint: convention.Generated(),
		Created: now(), Tool: toolName(), Unwrapper: root,
	})
	if err := log.Did(audit.ActionWrap, root.String(), nil, err); err != nil {
		return err
	}
	if checked {
		t.Say("wrapped by %s, and checked: it unwraps to the same key", root)
	} else {
		t.Say("wrapped by %s; this identity may not unwrap, so the wrapped key was not checked", root)
	}
	if at != nil {
		n, err := putToken(at.e, wrap.Token{Envelope: e, Keyslots: []int{at.slot}})
		if err != nil {
			return at.in.wrap(err)
		}
		t.Say("%s: token %d opens key slot %d by %s", at.in.name, n, at.slot, root)
	}
	if out != nil {
		if err := commitEnvelope(out, e); err != nil {
			return err
		}
	}
	return printEnvelope(t, e)
}

// printEnvelope prints a wrapped key, or with --json its envelope.
func printEnvelope(t *talk.Talk, e *wrap.Envelope) error {
	if t.AsJSON {
		return t.JSON(e.Write)
	}
	t.Say("the wrapped key, which is not secret:")
	return t.Result(nil, e.WDEK)
}

// now returns the time to write into files.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// toolName returns the name and version of luksimg to write into files.
func toolName() string { return "luksimg " + readVersion().Version }
