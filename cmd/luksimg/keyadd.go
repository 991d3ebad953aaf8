package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/luks"
)

func newKeyAdd(g *global) *cobra.Command {
	var unlock unlockFlags
	var fresh newKeyFlags
	var recovery recoveryFlags
	var bind bindFlags
	slot := luks.AnySlot
	c := g.editingSlot(&cobra.Command{
		Use:   "add FILE",
		Short: "Add a key slot",
		Long: `Add makes another key slot, which opens with the new key.

With --recovery the new key is a recovery key (LUKS2): 256 random bits as text that a person can write
down and type, as systemd-cryptenroll makes it. It is shown once, on the terminal, or written to
--recovery-file. It opens the image wherever a passphrase does, with or without dashes, spaces or
capital letters.

With --tang the image opens where a Tang server can be reached (LUKS2). With --sss it opens where a given
number of several Tang servers can be reached. A server learns nothing about the key. Key add generates the
key and stores it in a token, as clevis luks bind does. Then clevis opens the image at boot, and luksimg opens
it with --clevis. You must trust the keys of a server: give the thumbprint of its signing key with --thp, or
in --sss as thp, or confirm it when asked.`,
		Example: `  luksimg key add disk.luks
  luksimg key add --key-file dek.b64 --new-key-file second.b64 disk.luks
  luksimg key add --key-file dek.b64 --recovery disk.luks
  luksimg key add --key-file dek.b64 --tang http://tang.example.com disk.luks
  luksimg key add --key-file dek.b64 --sss '{"t":1,"pins":{"tang":[{"url":"http://a","thp":"..."},{"url":"http://b","thp":"..."}]}}' disk.luks`,
		Args: flags.Args("FILE"),
		PreRunE: func(c *cobra.Command, _ []string) error {
			if err := recovery.check(); err != nil {
				return err
			}
			return errors.Join(fresh.check(c, &unlock.key, "recovery", "recovery-file", "tang", "sss"), bind.check())
		},
	}, "key slot %d added", func(c *cobra.Command, name string, e *luks.Editor) (int, error) {
		if recovery.given() || bind.given() {
			if err := needTokens(e.Header(), bind.given()); err != nil {
				return 0, err
			}
		}
		volumeKey, err := unlock.volumeKey(c, g, name, e.Header())
		if err != nil {
			return 0, err
		}
		defer clear(volumeKey)
		a := &keyAddition{e, volumeKey, slot, &fresh, 0}
		switch {
		case recovery.given():
			return recovery.apply(c.Context(), &g.Talk, name, a)
		case bind.given():
			return bind.apply(c.Context(), g, a)
		}
		return fresh.apply(c.Context(), &g.Talk, name, e.Header(), func(key []byte, o luks.KeyOptions) (int, error) {
			return e.AddKey(c.Context(), slot, luks.NewKey{VolumeKey: volumeKey, Passphrase: key, KeyOptions: o})
		})
	})
	unlock.add(c, g)
	g.kdf.add(c)
	fresh.add(c)
	recovery.add(c)
	bind.add(c)
	c.Flags().IntVar(&slot, "key-slot", luks.AnySlot, "number of the new key slot; -1 is the first free one")
	return c
}

// needTokens returns an error for a LUKS1 image, which has no tokens.
func needTokens(h *luks.Header, binding bool) error {
	if h.Version() != 1 {
		return nil
	}
	text := "such a key needs a token, and LUKS1 has no tokens"
	if binding {
		text += "; luksimg does not write clevis data to luksmeta"
	}
	return rest.WithHint(errors.New(text),
		"make it LUKS2 first: luksimg header convert --format luks2 FILE")
}

// A keyAddition adds a key slot for a generated key, with a token.
type keyAddition struct {
	e         *luks.Editor
	volumeKey []byte
	slot      int // the number of the key slot, set by add
	fresh     *newKeyFlags
	token     int // the number of the token, set by add
}

// add adds a key slot for a key, and a token, a JSON object, that says how to get the key. If it fails, neither
// remains. If it is killed, the key slot can remain without the token.
func (a *keyAddition) add(ctx context.Context, key, token []byte) error {
	o, err := a.fresh.optionsFor(ctx, a.e.Header(), true)
	if err != nil {
		return err
	}
	if a.slot, err = a.e.AddKey(ctx, a.slot, luks.NewKey{VolumeKey: a.volumeKey, Passphrase: key, KeyOptions: o}); err != nil {
		return err
	}
	if token, err = luks.TokenFor(token, a.slot); err == nil {
		a.token, err = a.e.AddToken(token, luks.AnyToken)
	}
	if err != nil {
		return errors.Join(err, a.e.KillSlot(a.slot, false))
	}
	return nil
}

// undo removes the key slot and the token.
func (a *keyAddition) undo() error {
	return errors.Join(a.e.RemoveToken(a.token), a.e.KillSlot(a.slot, false))
}
