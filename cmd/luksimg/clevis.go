package main

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/clevis"
	"github.com/luksimg/luksimg/clevis/tang"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/luks"
)

// A clevisFlag allows opening an image by its clevis tokens. Without the flag, luksimg never contacts a Tang server.
type clevisFlag bool

func (o *clevisFlag) add(c *cobra.Command) {
	c.Flags().BoolVar((*bool)(o), "clevis", false, "ask the Tang servers that clevis tokens in a LUKS2 image name; luksimg prints their names first")
}

// byClevis opens a key slot by the clevis tokens in the header, one after the other.
func (o *unlockFlags) byClevis(ctx context.Context, g *global, name string, h *luks.Header, use func(openedSlot) error) error {
	if h.Version() == 1 {
		return rest.WithHint(errors.New("LUKS1 has no tokens, and luksimg does not read clevis data in luksmeta"),
			"clevis luks pass prints the passphrase of a key slot, for --passphrase-file")
	}
	var failed []error
	for _, k := range h.Tokens() {
		slots := slices.DeleteFunc(slices.Clone(k.Keyslots), func(n int) bool { return o.oneSlot() && n != *o.keySlot })
		if k.Type != clevis.TokenType || len(slots) == 0 {
			continue
		}
		opened, err := openBinding(ctx, g, name, h, k, slots)
		if err == nil {
			defer opened.clear()
			return use(opened)
		}
		if ctx.Err() != nil {
			return err
		}
		if hardware(k) != "" {
			err = rest.WithHint(err, hardwareHint([]luks.Token{k}))
		}
		failed = append(failed, &tokenError{k.Number, err})
	}
	if failed == nil {
		return rest.WithHint(errors.New("no clevis token is for an allowed key slot"),
			cmp.Or(hardwareHint(h.Tokens()), "luksimg token list FILE shows the tokens; luksimg key add --tang makes one"))
	}
	return errors.Join(failed...)
}

// openBinding opens the binding in a token, and then one of the key slots with its passphrase. It first prints which
// servers it may contact.
func openBinding(ctx context.Context, g *global, name string, h *luks.Header, k luks.Token, slots []int) (openedSlot, error) {
	binding, err := clevis.FromToken(k.JSON)
	if err != nil {
		return openedSlot{}, err
	}
	about, err := clevis.Inspect(binding)
	if err != nil {
		return openedSlot{}, err
	}
	g.Say("%s: clevis token %d: %s", name, k.Number, about)
	passphrase, err := clevis.Decrypt(ctx, binding, &tang.Client{})
	if err != nil {
		return openedSlot{}, err
	}
	var failed []error
	for _, n := range slots {
		volumeKey, n, err := h.VolumeKey(ctx, passphrase, n)
		if err == nil {
			return openedSlot{passphrase: passphrase, volumeKey: volumeKey, number: n}, nil
		}
		failed = append(failed, err)
	}
	clear(passphrase)
	return openedSlot{}, rest.WithHint(errors.Join(failed...), "the token belongs to another key slot, or its key slot has a new key: remove the token, and bind the key slot again")
}

func (s openedSlot) clear() {
	clear(s.passphrase)
	clear(s.volumeKey)
}
