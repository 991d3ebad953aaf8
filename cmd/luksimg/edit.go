package main

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/luks"
)

// edit opens the header of an image, has it changed, and keeps other runs of luksimg from
// changing it meanwhile.
func edit(ctx context.Context, g *global, name string, change func(e *luks.Editor) error) error {
	return editWith(ctx, g, name, luks.OpenOptions{}, change)
}

// editWith is edit with options.
func editWith(ctx context.Context, g *global, name string, o luks.OpenOptions, change func(e *luks.Editor) error) error {
	in, err := openInputFlags(ctx, name, os.O_RDWR)
	if err != nil {
		return err
	}
	defer in.close()
	if err := output.Lock(in.f); err != nil {
		return in.wrap(err)
	}
	e, err := luks.Edit(in.f, in.size, g.kdf.apply(o))
	if err != nil {
		return in.wrap(err)
	}
	g.WarnAll(name, e.Header().Info().Warnings)
	return in.wrap(change(e))
}

// newKeyFlags are the ways to give a new key for an image that has one.
type newKeyFlags struct {
	key      keys.Flags
	generate string
	kdf      kdfFlags
}

func (o *newKeyFlags) add(c *cobra.Command) {
	o.key.Add(c, "new-")
	c.Flags().StringVar(&o.generate, "generate-key", "", "make a new key and write it to `FILE`, which must not exist")
	o.kdf.add(c)
}

func (o *newKeyFlags) check(c *cobra.Command) error {
	if err := flags.AtMostOne(c, "new-key-file", "new-passphrase-file", "new-key-fd", "generate-key"); err != nil {
		return err
	}
	return o.kdf.check(c)
}

// read returns the new key, and the file that it is being written to if it is generated.
func (o *newKeyFlags) read(c *cobra.Command, t *talk.Talk, name string) (*output.File, []byte, error) {
	if o.generate != "" {
		return generateKey(o.generate, defaultKeyBytes, false)
	}
	key, err := o.key.Read(c.Context(), t, name, true)
	return nil, key, err
}

// options returns how the new key slot is made.
func (o *newKeyFlags) options(ctx context.Context, h *luks.Header) (luks.KeyOptions, error) {
	k := luks.KeyOptions{KDF: o.kdf.kdf(), GeneratedKey: o.generate != ""}
	var err error
	k.KDF, err = o.kdf.measure(ctx, k.KDF, func(ctx context.Context, d time.Duration) (luks.KDF, error) {
		i := h.Info()
		lo := luks.Options{Version: i.Version, KDF: k.KDF, GeneratedKey: k.GeneratedKey}
		if i.Version == 1 {
			lo.Hash = i.Hash
		}
		return luks.Calibrate(ctx, lo, d)
	})
	return k, err
}
