package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
)

// recoveryFlags ask for a recovery key.
type recoveryFlags struct {
	show bool
	file string
}

func (o *recoveryFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&o.show, "recovery", false, "make a recovery key, and show it once on the terminal")
	c.Flags().StringVar(&o.file, "recovery-file", "", "make a recovery key, and write it to `FILE`, which must not exist")
}

func (o *recoveryFlags) given() bool { return o.show || o.file != "" }

// check returns an error if there is no terminal to show the key on.
func (o *recoveryFlags) check() error {
	switch {
	case !o.show:
		return nil
	case o.file != "":
		return rest.WithHint(errors.New("--recovery and --recovery-file exclude each other: one shows the key, one writes it"), "--recovery-file FILE alone makes a recovery key too")
	}
	if err := term.Check(); err != nil {
		return rest.WithHint(errors.New("no terminal to show the recovery key on"), "--recovery-file FILE writes it to a file")
	}
	return nil
}

// apply adds the key slot, and shows its key or writes it to a file. The file is synced before the header changes.
func (o *recoveryFlags) apply(ctx context.Context, t *talk.Talk, name string, a *keyAddition) (int, error) {
	key, err := luks.NewRecoveryKey()
	if err != nil {
		return 0, err
	}
	defer clear(key)
	token := []byte(`{"type":"` + luks.RecoveryToken + `","keyslots":[]}`)
	if o.file == "" {
		if err := a.add(ctx, key, token); err != nil {
			return 0, err
		}
		head := fmt.Appendf(nil, "The recovery key of %s, shown only once:\n\n    ", term.Visible(name))
		text := slices.Concat(head, key, []byte("\n\nKeep it in a safe place: whoever has the key can open the image.\n"))
		defer clear(text)
		if err := term.Tell(text); err != nil {
			return 0, errors.Join(fmt.Errorf("showing the recovery key: %w", err), a.undo())
		}
		return a.slot, nil
	}
	f, err := createKeyFile(o.file)
	if err != nil {
		return 0, err
	}
	defer f.Abort()
	for _, p := range [][]byte{key, []byte("\n")} {
		if _, err := f.Write(p); err != nil {
			return 0, err
		}
	}
	if err := f.Commit(); err != nil {
		return 0, err
	}
	if err := a.add(ctx, key, token); err != nil {
		f.Remove()
		return 0, err
	}
	t.Say("recovery key: written to %s, a line of text; give it with --key-file or --passphrase-file", o.file)
	return a.slot, nil
}
