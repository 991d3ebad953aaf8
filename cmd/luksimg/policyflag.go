package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/luks/policy"
)

// A policyFlag is a policy to which a LUKS header must conform before a key is tried.
type policyFlag struct {
	name    string
	policy  *policy.Policy
	text    []byte // its JSON
	applied bool   // whether a header was checked
}

func (o *policyFlag) add(c *cobra.Command) {
	c.Flags().StringVar(&o.name, "policy", "", "policy to which the LUKS header must conform before luksimg tries a key: "+strings.Join(policy.Names(), ", ")+", or a `FILE`")
}

func (o *policyFlag) given() bool { return o.policy != nil }

// maxPolicyFile is the number of bytes read of a policy file, more than a policy can have.
const maxPolicyFile = 2 << 20

// load reads the policy.
func (o *policyFlag) load(ctx context.Context) error {
	if o.name == "" {
		return nil
	}
	if o.policy, o.text = policy.Builtin(o.name); o.policy != nil {
		return nil
	}
	f, err := stdio.OpenStream(ctx, o.name)
	if errors.Is(err, os.ErrNotExist) {
		return rest.WithHint(fmt.Errorf("--policy %s: neither a built-in policy nor a file: %w", o.name, err),
			strings.Join(policy.Names(), " and ")+" are built in; luksimg check --policy "+policy.Names()[0]+" --print prints one to start from")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	err = parallel.Await(ctx, func() (err error) {
		o.text, err = io.ReadAll(io.LimitReader(f, maxPolicyFile))
		return err
	})
	if err == nil {
		o.policy, err = policy.Parse(o.text)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", o.name, err)
	}
	if o.policy.Name == "" {
		o.policy.Name = o.name
	}
	return nil
}

// accept implements Accept of [luks.OpenOptions].
func (o *policyFlag) accept(h *luks.Header) error {
	o.applied = true
	return o.policy.Accept(h)
}

// errNoHeader means that a policy was given, but the image is not encrypted with LUKS.
var errNoHeader = errors.New("the image has no LUKS header to compare with the policy")

// looked returns an error if a policy was given but no header was checked: somebody may have replaced the encrypted
// image with a plain one.
func (o *policyFlag) looked() error {
	if !o.given() || o.applied {
		return nil
	}
	return rest.WithHint(errNoHeader, "the image is not encrypted, or not with LUKS; if you expect that, omit --policy")
}
