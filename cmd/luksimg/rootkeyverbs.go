package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

// envKMSInstance names an instance of the key service.
const envKMSInstance = "LUKSIMG_KMS_INSTANCE_CRN"

func newRootKey(g *global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "rootkey",
		Short: "Make, import, list, rotate, disable and delete root keys",
		Long: `Rootkey manages root keys in IBM Key Protect and Hyper Protect Crypto Services. A root key never leaves
the service; it wraps the keys of images. If you disable or delete a root key, nobody can use what it
wrapped, not even servers that run from such an image.`,
		Example: `  luksimg rootkey create --kms-instance-crn CRN images
  luksimg rootkey import --kms-instance-crn CRN --key-file root.key images
  luksimg rootkey list --kms-instance-crn CRN
  luksimg rootkey disable --root-key-crn CRN`,
	}, newRootKeyCreate(g), newRootKeyImport(g), newRootKeyList(g), newRootKeyRotate(g), newRootKeyDisable(g), newRootKeyEnable(g), newRootKeyDelete(g))
}

// A rootKeyVerb holds what the verbs for root keys share.
type rootKeyVerb struct {
	*global
	crn   string // of an instance or a root key
	audit auditFlags
}

// ofInstance adds the flags of a verb that works on an instance.
func (o *rootKeyVerb) ofInstance(c *cobra.Command) {
	c.Flags().StringVar(&o.crn, "kms-instance-crn", "", "the `CRN` of the instance of the key service (default: $"+envKMSInstance+")")
	o.cloud.add(c, serviceKMS)
}

// ofKey adds the flags of a verb that works on a root key.
func (o *rootKeyVerb) ofKey(c *cobra.Command) {
	o.ofNamedKey(c, "the `CRN` of the root key (default: $"+envRootKey+")")
}

// ofNamedKey is ofKey with another usage text for --root-key-crn.
func (o *rootKeyVerb) ofNamedKey(c *cobra.Command, usage string) {
	c.Flags().StringVar(&o.crn, "root-key-crn", "", usage)
	o.cloud.add(c, serviceKMS)
	o.audit.add(c)
}

// needed is the usage text for verbs that disable or delete.
const needed = "the `CRN` of the root key; required, because the environment is ignored"

// open returns a client for the instance or root key that the flag or the environment variable names.
func (o *rootKeyVerb) open(ctx context.Context, flag, variable string) (*keyprotect.Client, error) {
	crn := o.crn
	if crn == "" {
		crn = os.Getenv(variable)
	}
	if crn == "" {
		return nil, missingCRN(flag)
	}
	return o.cloud.keyProtect(ctx, crn, "")
}

// missingCRN returns the error for a missing flag with a CRN.
func missingCRN(flag string) error {
	return rest.WithHint(errors.New("--"+flag+" is missing"), "ibmcloud resource service-instance NAME shows the CRN of an instance, luksimg rootkey list the CRNs of its root keys")
}

// change calls f on the root key, logs the action, and prints what was done.
func (o *rootKeyVerb) change(ctx context.Context, did, action string, f func(*keyprotect.Client) error) error {
	c, err := o.open(ctx, "root-key-crn", envRootKey)
	if err != nil {
		return err
	}
	log, err := o.audit.open("")
	if err != nil {
		return err
	}
	defer log.Close()
	if err := log.Did(action, c.CRN().String(), nil, f(c)); err != nil {
		return err
	}
	return o.Result(struct {
		RootKeyCRN string `json:"root_key_crn"`
		Done       string `json:"done"`
	}{c.CRN().String(), did}, talk.Line("%s: %s", c.CRN(), did))
}

func newRootKeyRotate(g *global) *cobra.Command {
	o := &rootKeyVerb{global: g}
	var m materialFlags
	c := &cobra.Command{
		Use:   "rotate",
		Short: "Give a root key a new version",
		Long: `Rotate gives the root key a new version. The new version wraps new keys; older versions still unwrap what
they wrapped. luksimg rewrap renews the wrapped key in an envelope.

An imported root key needs 16, 24 or 32 new bytes, with the flags of rootkey import. A root key can be
rotated once an hour.` + cloudHelp,
		Example: `  luksimg rootkey rotate --root-key-crn CRN
  luksimg rootkey rotate --root-key-crn CRN --key-file new.key`,
		Args: flags.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			var material []byte
			if m.given() {
				var err error
				if material, err = m.read(c, &g.Talk); err != nil {
					return err
				}
				defer clear(material)
			}
			return o.change(c.Context(), "rotated", audit.ActionRootKeyRotate, func(k *keyprotect.Client) error { return k.Rotate(c.Context(), material) })
		},
	}
	o.ofKey(c)
	m.add(c)
	return c
}

func newRootKeyDisable(g *global) *cobra.Command {
	o := &rootKeyVerb{global: g}
	c := &cobra.Command{
		Use:   "disable",
		Short: "Suspend a root key until it is enabled",
		Long: `Disable suspends the root key: nobody can wrap or unwrap with it. Encrypted images do not import, and
their servers do not start, until the key is enabled. Services of the cloud can take hours to close data that are
open already.

--root-key-crn must be given: disable ignores the environment.` + cloudHelp,
		Example: `  luksimg rootkey disable --root-key-crn CRN`,
		Args:    flags.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			if o.crn == "" {
				return missingCRN("root-key-crn")
			}
			return o.change(c.Context(), "disabled", audit.ActionRootKeyDisable, func(k *keyprotect.Client) error { return k.Disable(c.Context()) })
		},
	}
	o.ofNamedKey(c, needed)
	return c
}

func newRootKeyEnable(g *global) *cobra.Command {
	o := &rootKeyVerb{global: g}
	c := &cobra.Command{
		Use:   "enable",
		Short: "Bring a disabled root key back into use",
		Long: `Enable makes a disabled root key active again. The service refuses it within 30 seconds of
disabling the key.` + cloudHelp,
		Example: `  luksimg rootkey enable --root-key-crn CRN`,
		Args:    flags.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.change(c.Context(), "enabled", audit.ActionRootKeyEnable, func(k *keyprotect.Client) error { return k.Enable(c.Context()) })
		},
	}
	o.ofKey(c)
	return c
}

func newRootKeyDelete(g *global) *cobra.Command {
	o := &rootKeyVerb{global: g}
	var force bool
	var opts keyprotect.DeleteOptions
	c := &cobra.Command{
		Use:   "delete",
		Short: "Delete a root key, and with it the keys that it wrapped",
		Long: `Delete deletes the root key. Keys that it wrapped cannot be unwrapped any more, so their images are lost
unless another key opens them. The service can restore the root key for 30 days.

--root-key-crn must be given: delete ignores the environment.` + cloudHelp,
		Example: `  luksimg rootkey delete --force --root-key-crn CRN`,
		Args:    flags.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case o.crn == "":
				return missingCRN("root-key-crn")
			case !force:
				return rest.WithHint(errors.New("deleting a root key makes all images whose keys it wrapped unreadable"), "use --force if that is intended")
			}
			return o.change(c.Context(), "deleted", audit.ActionRootKeyDelete, func(k *keyprotect.Client) error { return k.Delete(c.Context(), opts) })
		},
	}
	o.ofNamedKey(c, needed)
	c.Flags().BoolVar(&force, "force", false, "confirm: the keys that it wrapped are lost")
	c.Flags().BoolVar(&opts.Protecting, "protecting", false, "delete the key even if buckets or other resources use it")
	return c
}

func newRootKeyList(g *global) *cobra.Command {
	o := &rootKeyVerb{global: g}
	c := &cobra.Command{
		Use:   "list",
		Short: "List the root keys of an instance",
		Long: `List shows the root keys of an instance, or of the key ring that --key-ring names. Deleted keys are
not shown.` + cloudHelp,
		Example: `  luksimg rootkey list --kms-instance-crn CRN`,
		Args:    flags.Args(),
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := o.open(c.Context(), "kms-instance-crn", envKMSInstance)
			if err != nil {
				return err
			}
			all, err := k.RootKeys(c.Context())
			if err != nil {
				return err
			}
			list, rows := []rootKeyResult{}, [][]string{{"NAME", "STATE", "KEY RING", "MADE", "ROTATED", "CRN"}}
			for _, k := range all {
				list = append(list, resultOf(k))
				rows = append(rows, []string{k.Name, k.State.String(), k.Ring, day(k.Created), day(k.Rotated), k.CRN})
			}
			return o.Result(struct {
				RootKeys []rootKeyResult `json:"root_keys"`
			}{list}, columns(rows))
		},
	}
	o.ofInstance(c)
	return c
}

// rootKeyResult is a root key in JSON output.
type rootKeyResult struct {
	RootKeyCRN string    `json:"root_key_crn"`
	Name       string    `json:"name"`
	State      string    `json:"state"`
	KeyRing    string    `json:"key_ring,omitempty"`
	Imported   bool      `json:"imported"`
	Standard   bool      `json:"standard,omitempty"`
	Version    string    `json:"version,omitempty"` // the id of the newest version
	Created    time.Time `json:"created,omitzero"`
	Rotated    time.Time `json:"rotated,omitzero"`
	Expires    time.Time `json:"expires,omitzero"`
}

func resultOf(k keyprotect.Key) rootKeyResult {
	return rootKeyResult{k.CRN, k.Name, k.State.String(), k.Ring, k.Imported, k.Extractable, k.Version, k.Created, k.Rotated, k.Expires}
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02")
}
