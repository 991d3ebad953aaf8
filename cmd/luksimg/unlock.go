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

// An encrypted image is one that was opened, and its header.
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

// openLUKS opens a LUKS image, or that in a partition, whose header is in another file unless that
// is "", and tells what is odd about it.
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

// readHeader reads the header of a LUKS image, of which data is open; see openLUKS. If it fails,
// data is closed.
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
		e.close()
		return nil, e.header.wrap(err)
	}
	g.WarnAll(e.header.name+": ", e.h.Info().Warnings)
	return e, nil
}

// unlockFlags are the ways to open an encrypted image.
type unlockFlags struct {
	key           keys.Flags
	kms           rootKeyFlags
	clevis        clevisFlag
	volumeKeyFile string
	header        string
	partition     flags.Partition
	allowNull     bool
	allowCut      bool
	keySlot       *int // luks.AnySlot for all; nil without the flag
}

// addKey adds the flags that give a passphrase, or name who keeps it.
func (o *unlockFlags) addKey(c *cobra.Command, g *global) {
	o.key.Add(c, "")
	o.kms.addOpening(c, &g.cloud)
	o.clevis.add(c)
}

// byTokens tells whether tokens of the header say who opens the image.
func (o *unlockFlags) byTokens() bool { return o.kms.given() || bool(o.clevis) }

// add adds the flags that give a key.
func (o *unlockFlags) add(c *cobra.Command, g *global) {
	o.addKey(c, g)
	c.Flags().StringVar(&o.volumeKeyFile, "volume-key-file", "", "`FILE` with the volume key itself; no passphrase is needed")
}

// addImage adds the flags that say what the image is.
func (o *unlockFlags) addImage(c *cobra.Command, g *global, what string) {
	o.partition.Add(c, what)
	g.kdf.policy.add(c)
	c.Flags().StringVar(&o.header, "header", "", "`FILE` with the header, if it is detached from the data")
	c.Flags().BoolVar(&o.allowCut, "allow-truncated", false, "read an image that was cut off within a sector, up to there")
	o.keySlot = c.Flags().Int("key-slot", luks.AnySlot, "try this key slot only")
	c.Flags().Lookup("key-slot").DefValue = "0" // which help leaves out
	c.Flags().BoolVar(&o.allowNull, "allow-null-cipher", false, "accept an image that its header says is not encrypted")
}

func (o *unlockFlags) openLUKS(ctx context.Context, g *global, name string) (*encrypted, error) {
	return openLUKS(ctx, g, name, o.partition, o.header, o.openOptions())
}

// openOptions are what the flags say of opening LUKS.
func (o *unlockFlags) openOptions() luks.OpenOptions {
	return luks.OpenOptions{AllowNullCipher: o.allowNull, AllowTruncated: o.allowCut}
}

// oneSlot tells whether only one key slot is to be tried.
func (o *unlockFlags) oneSlot() bool { return o.keySlot != nil && *o.keySlot != luks.AnySlot }

// openSlot returns the volume key that a passphrase opens in the key slots that the flags
// allow, and the number of its key slot.
func (o *unlockFlags) openSlot(ctx context.Context, h *luks.Header, passphrase []byte) (key []byte, slot int, err error) {
	if o.oneSlot() {
		return h.VolumeKey(ctx, passphrase, *o.keySlot)
	}
	return h.VolumeKey(ctx, passphrase, luks.AnySlot)
}

// given tells whether any of the flags was used.
func (o *unlockFlags) given() bool { return o.key.Given() || o.volumeKeyFile != "" || o.byTokens() }

// volumeKey returns the volume key, given by the flags or found with the key that they
// give. The caller wipes it.
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

// An openedSlot is a key slot with the passphrase that opens it, and what is in it. Both keys are
// wiped when the function that gets it returns.
type openedSlot struct {
	passphrase, volumeKey []byte
	number                int
	root                  *wrap.RootKey // that keeps the passphrase; nil without --kms
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

// tokensIn returns the tokens of LUKS in an image, or in a partition of it, if they can be read.
func tokensIn(ctx context.Context, in *input, o luksimg.ImageOptions) func() []luks.Token {
	return func() (all []luks.Token) {
		o.LUKS = luks.OpenOptions{AllowNullCipher: true, AllowTruncated: true, Accept: func(h *luks.Header) error {
			all = h.Tokens()
			return luks.ErrUnsupported // the header is all that is read
		}}
		luksimg.Inspect(ctx, in.r, in.size, luksimg.ImageOptions{LUKS: o.LUKS, Partition: o.Partition, Unpack: luksimg.Unpacking{Never: true}})
		return all
	}
}

// open unlocks an image with the key that the flags give.
func (o *unlockFlags) open(c *cobra.Command, g *global, e *encrypted) (*luks.Volume, error) {
	if e.header == e.input && e.h.DataOffset() == 0 {
		return nil, rest.WithHint(fmt.Errorf("%s: this is a detached header, without the data", e.name),
			"name the file with the data, and this one with --header")
	}
	key, err := o.volumeKey(c, g, e.name, e.h)
	if err != nil {
		return nil, e.header.wrap(err)
	}
	defer clear(key)
	v, err := e.h.Volume(c.Context(), e.r, e.size, key)
	return v, e.wrap(err)
}

// openBy opens an image by a passphrase, and returns that, the key slot that it opens, and the root
// key that keeps it, if any does. The caller wipes the passphrase.
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
