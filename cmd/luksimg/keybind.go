package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/clevis"
	"github.com/luksimg/luksimg/clevis/tang"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/wrap"
)

// bindFlags ask for a key slot that opens under a clevis policy.
type bindFlags struct {
	tang, thumbprint, sss string
}

func (o *bindFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.tang, "tang", "", "add a key that opens where the Tang server at this `URL` can be reached")
	f.StringVar(&o.thumbprint, "thp", "", "`THUMBPRINT` of the Tang server's signing key (default: luksimg asks)")
	f.StringVar(&o.sss, "sss", "", "add a key that opens where some of several Tang servers can be reached: `JSON` as for clevis encrypt sss")
}

func (o *bindFlags) given() bool { return o.tang != "" || o.sss != "" }

// check validates the flags before any file is opened.
func (o *bindFlags) check() error {
	_, err := o.policy()
	return err
}

// policy returns the policy that the flags select, nil for none.
func (o *bindFlags) policy() (*clevis.Policy, error) {
	switch {
	case o.thumbprint != "" && o.tang == "":
		return nil, errors.New("--thp is for --tang; in --sss, thp is a member of a server")
	case o.sss != "":
		return clevis.ParsePolicy("sss", []byte(o.sss))
	case o.tang != "":
		return clevis.Tang(o.tang, o.thumbprint)
	}
	return nil, nil
}

// apply adds the key slot and the token with its binding.
func (o *bindFlags) apply(ctx context.Context, g *global, a *keyAddition) (int, error) {
	p, err := o.policy()
	if err != nil {
		return 0, err
	}
	key, err := wrap.NewMaterial(defaultKeyBytes, false)
	if err != nil {
		return 0, err
	}
	defer clear(key)
	binding, err := clevis.Encrypt(ctx, p, key, &tang.Client{}, g.trustTang)
	if err != nil {
		return 0, err
	}
	token, err := clevis.Token(binding)
	if err != nil {
		return 0, err
	}
	err = a.add(ctx, key, token)
	return a.slot, err
}

// trustTang asks the user whether to trust the keys of a Tang server.
func (g *global) trustTang(ctx context.Context, url string, thumbprints []string) error {
	var yes bool
	what := "the key"
	if len(thumbprints) > 1 {
		what = "the keys"
	}
	state := term.Save()
	err := parallel.Await(ctx, func() (err error) {
		yes, err = term.Ask(fmt.Sprintf("The Tang server %s signs with %s\n\n    %s\n\nCompare that with what tang-show-keys or jose jwk thp prints on the server. Do you trust it? [y/N] ",
			term.Visible(url), what, strings.Join(thumbprints, "\n    ")))
		return err
	})
	refused := fmt.Errorf("tang %s: %w", url, clevis.ErrTrust)
	switch {
	case errors.Is(err, term.ErrNoTerminal):
		return rest.WithHint(refused, "give the thumbprint of its signing key with --thp, which tang-show-keys or jose jwk thp prints on the server; on a terminal luksimg asks")
	case err != nil:
		state.Restore()
		return err
	case !yes:
		return rest.WithHint(refused, "you answered no")
	}
	return nil
}
