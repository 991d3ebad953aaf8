package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

// A rootKeyMaker holds the flags of the verbs that make a key.
type rootKeyMaker struct {
	rootKeyVerb
	makeRing bool
}

func (o *rootKeyMaker) add(c *cobra.Command) {
	o.ofInstance(c)
	o.audit.add(c)
	c.Flags().BoolVar(&o.makeRing, "create-key-ring", false, "create the key ring of --key-ring if needed")
}

// make calls f to make a key in the instance, logs the action, and prints the key's CRN.
func (o *rootKeyMaker) make(ctx context.Context, name, action string, log *audit.Logger, f func(*keyprotect.Client) (keyprotect.Key, error)) error {
	if o.makeRing && o.cloud.keyRing == "" {
		return errors.New("--create-key-ring needs --key-ring")
	}
	c, err := o.open(ctx, "kms-instance-crn", envKMSInstance)
	if err != nil {
		return err
	}
	if o.makeRing {
		made, err := c.EnsureKeyRing(ctx)
		if err != nil {
			return err
		}
		if made {
			o.Say("key ring %s: created", o.cloud.keyRing)
		}
	}
	k, err := f(c)
	if err := log.Did(action, k.CRN, map[string]any{"name": name}, err); err != nil {
		return err
	}
	o.Say("%s: created in key ring %s", k.Name, k.Ring)
	return o.Result(resultOf(k), talk.Line("%s", k.CRN))
}

func newRootKeyCreate(g *global) *cobra.Command {
	o := &rootKeyMaker{rootKeyVerb: rootKeyVerb{global: g}}
	standard := false
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a root key in the key service, and print its CRN",
		Long: `Create has the service make a root key, and prints its CRN. Nobody ever sees the key itself.

With --standard it makes a standard key: 32 bytes that the service keeps, and returns to
identities that are allowed to read them. luksimg keygen --standard-key uses it as the key of an image.` + cloudHelp,
		Example: `  luksimg rootkey create --kms-instance-crn CRN images
  luksimg rootkey create --kms-instance-crn CRN --key-ring prod --create-key-ring images`,
		Args: flags.Args("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			log, err := o.audit.open("")
			if err != nil {
				return err
			}
			defer log.Close()
			return o.make(ctx, args[0], audit.ActionRootKey, log, func(k *keyprotect.Client) (keyprotect.Key, error) {
				if standard {
					return k.CreateStandardKey(ctx, args[0])
				}
				return k.CreateRootKey(ctx, args[0])
			})
		},
	}
	o.add(c)
	c.Flags().BoolVar(&standard, "standard", false, "make a standard key, which can be read, instead of a root key")
	return c
}

func newRootKeyImport(g *global) *cobra.Command {
	o := &rootKeyMaker{rootKeyVerb: rootKeyVerb{global: g}}
	var m materialFlags
	c := &cobra.Command{
		Use:   "import NAME",
		Short: "Import your own key as a root key, and print its CRN",
		Long: `Import makes a root key from your own 16, 24 or 32 bytes, and prints its CRN. The bytes travel encrypted
with an import token of the service, in addition to TLS.

Keep a copy of the bytes in a safe place: if the service loses the root key, or you leave the service,
you need them to unwrap your keys. luksimg keygen --raw FILE makes 32 bytes.` + cloudHelp,
		Example: `  luksimg keygen --raw root.key
  luksimg rootkey import --kms-instance-crn CRN --key-file root.key images`,
		Args: flags.Args("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			ctx := c.Context()
			if !m.given() {
				return rest.WithHint(errors.New("no key is given"), "give it with --key-file or --key-fd")
			}
			material, err := m.read(c, &g.Talk)
			if err != nil {
				return err
			}
			defer clear(material)
			log, err := o.audit.open("")
			if err != nil {
				return err
			}
			defer log.Close()
			log.AddSecret(material)
			return o.make(ctx, args[0], audit.ActionRootKeyImport, log, func(k *keyprotect.Client) (keyprotect.Key, error) {
				return k.ImportRootKey(ctx, args[0], material)
			})
		},
	}
	o.add(c)
	m.add(c)
	return c
}

// materialFlags supply the bytes of a root key.
type materialFlags struct {
	key  keys.Flags
	text bool
}

func (m *materialFlags) add(c *cobra.Command) {
	m.key.AddPlain(c, "")
	c.Flags().BoolVar(&m.text, "base64", false, "the key file has the base64 text of the bytes, as luksimg keygen writes it")
}

func (m *materialFlags) given() bool { return m.key.Given() }

// read returns the bytes of the root key. The caller wipes them.
func (m *materialFlags) read(c *cobra.Command, t *talk.Talk) ([]byte, error) {
	if err := flags.AtMostOne(c, "key-file", "passphrase-file", "key-fd"); err != nil {
		return nil, err
	}
	b, err := m.key.Read(c.Context(), t, "the root key", false)
	if err != nil {
		return nil, err
	}
	decoded := make([]byte, base64.StdEncoding.DecodedLen(len(b)))
	n, err := base64.StdEncoding.Decode(decoded, b)
	isText := err == nil && (n == 16 || n == 24 || n == 32)
	if m.text {
		clear(b)
		if b = decoded[:n]; err != nil {
			clear(b)
			return nil, rest.WithHint(errors.New("--base64: the key is not base64 text"), "if it is the bytes of the key themselves, leave --base64 off")
		}
	} else {
		clear(decoded)
	}
	switch len(b) {
	case 16, 24, 32:
		if !m.text && isText {
			t.Warn("the key looks like base64 text: if it is, use --base64, or its characters become the key")
		}
		return b, nil
	}
	clear(b)
	err = fmt.Errorf("%w: the root key has %d bytes, want 16, 24 or 32", wrap.ErrKey, len(b))
	if isText && !m.text {
		return nil, rest.WithHint(err, "it is base64 text: use --base64")
	}
	return nil, rest.WithHint(err, "luksimg keygen --raw FILE makes 32 bytes")
}
