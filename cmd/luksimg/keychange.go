package main

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/luks"
)

func newKeyChange(g *global) *cobra.Command {
	var old unlockFlags
	var fresh newKeyFlags
	c := g.editingSlot(&cobra.Command{
		Use:   "change FILE",
		Short: "Replace the key of a key slot by another",
		Long: `Change replaces the key slot of the given key by one for the new key. It writes the new key slot to free
space before it overwrites the old one, so either key opens the image even if the command is killed.

If the header has no room for another key slot, as in LUKS1 with all eight in use, the two share their key
material except for its first and last block. If there is no room for even one block, a command that is
killed can leave the key slot with neither key, as with cryptsetup.`,
		Example: `  luksimg key change --key-file old.b64 --generate-key new.b64 disk.luks`,
		Args:    flags.Args("FILE"),
		PreRunE: func(c *cobra.Command, _ []string) error { return fresh.check(c, &old.key) },
	}, "key slot %d has the new key", func(c *cobra.Command, name string, e *luks.Editor) (int, error) {
		var volumeKey []byte
		var slot int
		err := old.unlock(c.Context(), g, name, e.Header(), func(s openedSlot) error {
			volumeKey, slot = bytes.Clone(s.volumeKey), s.number
			return nil
		})
		if err != nil {
			return 0, err
		}
		defer clear(volumeKey)
		n, err := fresh.apply(c.Context(), &g.Talk, name, e.Header(), func(key []byte, o luks.KeyOptions) (int, error) {
			return e.ReplaceSlot(c.Context(), slot, luks.NewKey{VolumeKey: volumeKey, Passphrase: key, KeyOptions: o})
		})
		if err == nil {
			g.warnStale(e.Header(), name, n)
		}
		return n, err
	})
	old.addKey(c, g)
	g.kdf.add(c)
	fresh.add(c)
	return c
}

func newKeyConvert(g *global) *cobra.Command {
	var key unlockFlags
	var fresh newKeyFlags
	c := g.editingSlot(&cobra.Command{
		Use:   "convert FILE",
		Short: "Give a key slot another key derivation function or cost",
		Long: `Convert re-creates the key slot that opens with the given key. The new slot opens with the same key, but
uses another key derivation function or cost.`,
		Example: `  luksimg key convert --key-file dek.b64 --pbkdf pbkdf2 disk.luks`,
		Args:    flags.Args("FILE"),
		PreRunE: func(c *cobra.Command, _ []string) error { return fresh.check(c, &key.key) },
	}, "key slot %d re-created", func(c *cobra.Command, name string, e *luks.Editor) (n int, err error) {
		err = key.unlock(c.Context(), g, name, e.Header(), func(s openedSlot) error {
			o, err := fresh.options(c.Context(), e.Header())
			if err == nil {
				n, err = e.ReplaceSlot(c.Context(), s.number, luks.NewKey{VolumeKey: s.volumeKey, Passphrase: s.passphrase, KeyOptions: o})
			}
			return err
		})
		return n, err
	})
	key.addKey(c, g)
	g.kdf.add(c)
	fresh.kdf.add(c)
	return c
}

// newKeyFlags supply a new key for an existing image.
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

// check validates the flags together with those of the existing key. others are further flags that select the new
// key.
func (o *newKeyFlags) check(c *cobra.Command, old *keys.Flags, others ...string) error {
	names := append([]string{"new-key-file", "new-passphrase-file", "new-key-fd", "generate-key"}, others...)
	if err := errors.Join(flags.AtMostOne(c, names...), o.kdf.check(c), keys.Check(c, nil)); err != nil {
		return err
	}
	if old.Stdin() && o.key.Stdin() {
		return errors.New("standard input cannot be both the key and the new key")
	}
	return nil
}

// read returns the new key, and the unfinished key file if the key is generated.
func (o *newKeyFlags) read(ctx context.Context, t *talk.Talk, name string) (*output.File, []byte, error) {
	if o.generate != "" {
		return generateKey(o.generate, defaultKeyBytes, false, o.key.Encoding())
	}
	key, err := o.key.Read(ctx, t, name, true)
	return nil, key, err
}

// options returns the options of the new key slot.
func (o *newKeyFlags) options(ctx context.Context, h *luks.Header) (luks.KeyOptions, error) {
	return o.optionsFor(ctx, h, o.generate != "")
}

// optionsFor is options for a key that is generated or not.
func (o *newKeyFlags) optionsFor(ctx context.Context, h *luks.Header, generated bool) (luks.KeyOptions, error) {
	k := luks.KeyOptions{KDF: o.kdf.kdf(), GeneratedKey: generated}
	var err error
	k.KDF, err = o.kdf.measure(ctx, k.KDF, func(ctx context.Context, d time.Duration) (luks.KDF, error) { return h.Calibrate(ctx, k, d) })
	return k, err
}

// apply reads the new key and calls f with it. A generated key is synced to its file before f changes the header.
func (o *newKeyFlags) apply(ctx context.Context, t *talk.Talk, name string, h *luks.Header, f func(key []byte, o luks.KeyOptions) (int, error)) (int, error) {
	file, key, err := o.read(ctx, t, name)
	if err != nil {
		return 0, err
	}
	defer clear(key)
	if file != nil {
		defer file.Abort()
		if err := file.Commit(); err != nil {
			return 0, err
		}
	}
	n := 0
	ko, err := o.options(ctx, h)
	if err == nil {
		n, err = f(key, ko)
	}
	switch {
	case file == nil:
	case err != nil:
		file.Remove()
	default:
		t.Say("key: written to %s", o.generate)
	}
	return n, err
}
