package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/wrap"
)

// An encrypted is an open LUKS image with its header.
type encrypted struct {
	*input // of the data
	header *input
	h      *luks.Header
}

func (e *encrypted) close() {
	e.input.close()
	if e.header != e.input {
		e.header.close()
	}
}

// openLUKS opens a LUKS image, or LUKS in a partition, and prints the header's warnings. header is the file of a
// detached header, or "".
func openLUKS(ctx context.Context, g *global, name string, n flags.Partition, header string, o luks.OpenOptions) (*encrypted, error) {
	data, err := openInput(ctx, g, name)
	if err != nil {
		return nil, err
	}
	if err := data.take(ctx, g, n); err != nil {
		data.close()
		return nil, err
	}
	return readHeader(ctx, g, data, header, o)
}

// readHeader reads the header of a LUKS image whose data are open: see openLUKS. On failure it closes data.
func readHeader(ctx context.Context, g *global, data *input, header string, o luks.OpenOptions) (*encrypted, error) {
	e := &encrypted{input: data, header: data}
	var err error
	if header != "" {
		if e.header, err = openHeader(ctx, g, header); err != nil {
			data.close()
			return nil, err
		}
	}
	if e.h, err = luks.Open(e.header.r, e.header.size, g.kdf.apply(o)); err != nil {
		if header == "" && errors.Is(err, luks.ErrNotLUKS) {
			err = hintEncryptedQCOW2(ctx, data, err)
		}
		e.close()
		return nil, e.header.wrap(err)
	}
	g.WarnAll(e.header.name+": ", e.h.Info().Warnings)
	return e, nil
}

// hintEncryptedQCOW2 adds a hint to the error for a file without LUKS at its start, if it is a qcow2 image that is
// encrypted itself.
func hintEncryptedQCOW2(ctx context.Context, in *input, err error) error {
	if f, e := luksimg.Detect(in.r, in.size); e != nil || f != luksimg.QCOW2 {
		return err
	}
	if _, e := luksimg.OpenImage(ctx, in.r, in.size, luksimg.ImageOptions{Format: luksimg.QCOW2}); !errors.Is(e, luksimg.ErrEncrypted) {
		return err
	}
	return rest.WithHint(err, "it is an encrypted qcow2 image: luksimg inspect FILE describes it, luksimg decrypt opens it, and qemu-img amend changes its keys")
}

// unlockFlags are the flags that open an encrypted image.
type unlockFlags struct {
	key           keys.Flags
	kms           rootKeyFlags
	clevis        clevisFlag
	volumeKeyFile string
	header        string
	partition     flags.Partition
	allowNull     bool
	allowCut      bool
	keySlot       *int // luks.AnySlot for all; nil if the verb lacks the flag
}

// addKey adds the flags for a passphrase, or for the service that keeps it.
func (o *unlockFlags) addKey(c *cobra.Command, g *global) {
	o.key.Add(c, "")
	o.kms.addOpening(c, &g.cloud)
	o.clevis.add(c)
}

// byTokens reports whether tokens in the header open the image.
func (o *unlockFlags) byTokens() bool { return o.kms.given() || bool(o.clevis) }

// add adds the flags for a key.
func (o *unlockFlags) add(c *cobra.Command, g *global) {
	o.addKey(c, g)
	c.Flags().StringVar(&o.volumeKeyFile, "volume-key-file", "", "`FILE` with the volume key itself; no passphrase is needed")
}

// addImage adds the flags that describe the image.
func (o *unlockFlags) addImage(c *cobra.Command, g *global, what string) {
	o.partition.Add(c, what)
	g.kdf.policy.add(c)
	c.Flags().StringVar(&o.header, "header", "", "`FILE` with the header, if it is detached from the data")
	c.Flags().BoolVar(&o.allowCut, "allow-truncated", false, "read an image that is truncated within a sector, up to the last whole sector")
	o.keySlot = c.Flags().Int("key-slot", luks.AnySlot, "try this key slot only")
	c.Flags().Lookup("key-slot").DefValue = "0" // the help omits this default
	c.Flags().BoolVar(&o.allowNull, "allow-null-cipher", false, "accept an image whose header says that it is not encrypted")
}

func (o *unlockFlags) openLUKS(ctx context.Context, g *global, name string) (*encrypted, error) {
	return openLUKS(ctx, g, name, o.partition, o.header, o.openOptions())
}

// openOptions returns the options for opening LUKS.
func (o *unlockFlags) openOptions() luks.OpenOptions {
	return luks.OpenOptions{AllowNullCipher: o.allowNull, AllowTruncated: o.allowCut}
}

// oneSlot reports whether the flags choose one key slot.
func (o *unlockFlags) oneSlot() bool { return o.keySlot != nil && *o.keySlot != luks.AnySlot }

// openSlot returns the volume key that a passphrase opens, and the number of its key slot. It tries only the key
// slots that the flags allow.
func (o *unlockFlags) openSlot(ctx context.Context, h *luks.Header, passphrase []byte) (key []byte, slot int, err error) {
	if o.oneSlot() {
		return h.VolumeKey(ctx, passphrase, *o.keySlot)
	}
	return h.VolumeKey(ctx, passphrase, luks.AnySlot)
}

// given reports whether any flag for a key is set.
func (o *unlockFlags) given() bool { return o.key.Given() || o.volumeKeyFile != "" || o.byTokens() }

// volumeKey returns the volume key: from its file, or from the key slot that the given key opens. The caller wipes
// it.
func (o *unlockFlags) volumeKey(c *cobra.Command, g *global, name string, h *luks.Header) (key []byte, err error) {
	if err := keys.Check(c, nil); err != nil {
		return nil, err
	}
	if o.volumeKeyFile != "" {
		return keys.ReadFile(c.Context(), o.volumeKeyFile)
	}
	err = o.unlock(c.Context(), g, name, h, func(s openedSlot) error {
		key = bytes.Clone(s.volumeKey)
		return nil
	})
	return key, err
}

// An openedSlot is a key slot with its passphrase and the volume key in it. Both keys are wiped after the function
// that receives it returns.
type openedSlot struct {
	passphrase, volumeKey []byte
	number                int
	root                  *wrap.RootKey // the root key that wraps the passphrase; nil without --kms
}

// unlock opens a key slot with the passphrase that the flags give, or by a token, and calls use.
func (o *unlockFlags) unlock(ctx context.Context, g *global, name string, h *luks.Header, use func(openedSlot) error) error {
	if o.kms.given() && bool(o.clevis) {
		return errors.New("--kms and --clevis exclude each other")
	}
	if o.kms.given() {
		return o.byToken(ctx, g, name, h, use)
	}
	if o.clevis {
		return o.byClevis(ctx, g, name, h, use)
	}
	err := o.key.Unlock(ctx, &g.Talk, name, func(passphrase []byte) error {
		volumeKey, n, err := o.openSlot(ctx, h, passphrase)
		if err != nil {
			return err
		}
		defer clear(volumeKey)
		return use(openedSlot{passphrase: passphrase, volumeKey: volumeKey, number: n})
	})
	return hintKeepers(err, h.Tokens)
}

// tokensIn returns a function that returns the tokens of LUKS in an image or a partition, or nil if they cannot be
// read.
func tokensIn(ctx context.Context, in *input, o luksimg.ImageOptions) func() []luks.Token {
	return func() (all []luks.Token) {
		o.LUKS = luks.OpenOptions{AllowNullCipher: true, AllowTruncated: true, Accept: func(h *luks.Header) error {
			all = h.Tokens()
			return luks.ErrUnsupported // stop after the header
		}}
		luksimg.Inspect(ctx, in.r, in.size, luksimg.ImageOptions{LUKS: o.LUKS, Partition: o.Partition, Unpack: luksimg.Unpacking{Never: true}})
		return all
	}
}

// open unlocks an image with the key that the flags give.
func (o *unlockFlags) open(c *cobra.Command, g *global, e *encrypted) (*luks.Volume, error) {
	if e.header == e.input && e.h.DataOffset() == 0 {
		return nil, rest.WithHint(fmt.Errorf("%s is a detached header without data", e.name),
			"give the data file as the image, and this file with --header")
	}
	key, err := o.volumeKey(c, g, e.name, e.h)
	if err != nil {
		return nil, e.header.wrap(err)
	}
	defer clear(key)
	v, err := e.h.Volume(c.Context(), e.r, e.size, key)
	return v, e.wrap(err)
}

// openBy opens an image with a passphrase. It returns the passphrase, its key slot, and the root key that wraps it,
// if any. The caller wipes the passphrase.
func (o *unlockFlags) openBy(ctx context.Context, g *global, in *encrypted, name string) (v *luks.Volume, by openedSlot, err error) {
	err = o.unlock(ctx, g, name, in.h, func(s openedSlot) (err error) {
		if v, err = in.h.Volume(ctx, in.r, in.size, s.volumeKey); err != nil {
			return in.wrap(err)
		}
		by = openedSlot{passphrase: bytes.Clone(s.passphrase), number: s.number, root: s.root}
		return nil
	})
	return v, by, in.header.wrap(err)
}
