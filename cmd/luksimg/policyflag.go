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

// A policyFlag is the policy that a LUKS header has to conform to before a key is tried.
type policyFlag struct {
	name    string
	policy  *policy.Policy
	text    []byte // its JSON
	applied bool   // to a header
}

func (o *policyFlag) add(c *cobra.Command) {
	c.Flags().StringVar(&o.name, "policy", "", "what the LUKS header must be like before a key is tried: "+strings.Join(policy.Names(), ", ")+", or a `FILE` with a policy")
}

func (o *policyFlag) given() bool { return o.policy != nil }

// maxPolicyFile is more than a policy may have, in bytes.
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
		return rest.WithHint(fmt.Errorf("--policy %s: it is not built in, and there is no such file: %w", o.name, err),
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

// accept is what [luks.OpenOptions] ask.
func (o *policyFlag) accept(h *luks.Header) error {
	o.applied = true
	return o.policy.Accept(h)
}

// errNoHeader: an image that is not encrypted by LUKS conforms to no policy.
var errNoHeader = errors.New("there is no LUKS header that the policy could be about")

// looked refuses an image without a LUKS header, if there is a policy: somebody may have put it in the
// place of one that is encrypted.
func (o *policyFlag) looked() error {
	if !o.given() || o.applied {
		return nil
	}
	return rest.WithHint(errNoHeader, "the image is not encrypted, or not by LUKS; leave --policy out if that is what you expect")
}
