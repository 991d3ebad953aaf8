package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/luks/policy"
)

type checkFlags struct {
	*global
	header    string
	partition flags.Partition
	unpack    unpackFlags
	sum       sumFlags
	print     bool
}

func newCheck(g *global) *cobra.Command {
	o := &checkFlags{global: g}
	c := &cobra.Command{
		Use:   "check IMAGE",
		Short: "Compare the header of a LUKS image with a policy, without a key",
		Long: `Check compares the LUKS header of IMAGE with a policy: ciphers, key sizes, key derivation and its
cost, hashes, key slots, tokens. It needs no key.

A LUKS header is not authenticated. Whoever can write to the image can make it say that the data are
not encrypted. So check an image before you give its key or write a secret to its disk. Check also
reads images that are compressed, in an archive or in a container image.

--policy is cloud (what luksimg writes by default, and what its profiles need), fips (what FIPS 140-3
approves), or a file with your own policy. --print prints a policy as JSON. The verbs that open an
image take --policy too, and check the very bytes that they use.

Exit codes: 0 the header conforms, 3 it does not, 1 it could not be read.`,
		Example: `  luksimg check --policy cloud disk.luks
  luksimg check --policy fips --partition 2 server.raw
  luksimg check --policy cloud disk.luks.xz
  luksimg check --policy cloud --print >policy.json
  luksimg decrypt --policy policy.json --key-file dek.b64 disk.luks disk.raw`,
		Args: flags.InPlace("print", "IMAGE"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	o.kdf.policy.add(c)
	o.partition.Add(c, "IMAGE")
	c.Flags().StringVar(&o.header, "header", "", "`FILE` with the header, if it is detached from the data")
	o.unpack.add(c, "IMAGE")
	o.unpack.random = true
	o.sum.add(c, "IMAGE")
	o.sum.first = true
	c.Flags().BoolVar(&o.print, "print", false, "print the policy as JSON, and check nothing")
	g.web.add(c)
	o.cloud.add(c, serviceCOS)
	return c
}

// checkResult is the output of check --json.
type checkResult struct {
	Conforms   bool               `json:"conforms"`
	Policy     string             `json:"policy"` // the name of the policy
	UUID       string             `json:"uuid"`
	Violations []policy.Violation `json:"violations"`
	Warnings   []string           `json:"warnings,omitempty"`
}

func (o *checkFlags) run(c *cobra.Command, args []string) error {
	if err := o.sum.check(c); err != nil {
		return err
	}
	ctx, p := c.Context(), &o.kdf.policy
	if !p.given() {
		return rest.WithHint(errors.New("check needs a policy"), "give --policy cloud, --policy fips, or --policy FILE")
	}
	if o.print {
		if err := stdio.CheckOpen("the policy"); err != nil {
			return err
		}
		_, err := o.Out.Write(p.text)
		return err
	}
	name := args[0]
	i, err := o.read(ctx, name)
	if err != nil {
		return err
	}
	o.WarnAll(name+": ", i.Warnings)
	r := checkResult{Policy: p.policy.Name, UUID: i.UUID, Violations: append([]policy.Violation{}, p.policy.Check(*i)...), Warnings: o.Warnings}
	if r.Conforms = len(r.Violations) == 0; r.Conforms {
		return o.Result(r, talk.Line("%s: conforms to the policy %s", name, r.Policy))
	}
	var lines []string
	for _, v := range r.Violations {
		lines = append(lines, v.String())
	}
	if err := o.Result(r, talk.Lines(lines)); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w %q: %d of its fields", name, policy.ErrViolated, r.Policy, len(r.Violations))
}

// read returns the description of the LUKS header in an image of any format, packed or not.
func (o *checkFlags) read(ctx context.Context, name string) (*luks.Info, error) {
	in, err := openInput(ctx, o.global, name)
	if err != nil {
		return nil, err
	}
	defer func() { in.close() }()
	if err := o.sum.watch(ctx, o.global, in); err != nil {
		return nil, in.wrap(err)
	}
	var found *luks.Info
	enough := errors.New("stop after the header")
	opts := luks.OpenOptions{AllowNullCipher: true, AllowTruncated: true, Accept: func(h *luks.Header) error {
		i := h.Info()
		found = &i
		return enough
	}}
	if o.header != "" {
		header, err := openHeader(ctx, o.global, o.header)
		if err != nil {
			return nil, err
		}
		defer header.close()
		if _, err = luks.Open(header.r, header.size, opts); found != nil {
			return found, nil
		}
		return nil, header.wrap(err)
	}
	if err := in.unpack(ctx, "", o.unpack.options(&o.Talk, in.name)); err != nil {
		return nil, in.wrap(err)
	}
	// The rest of the image, such as a missing backing file, does not matter for the header.
	_, err = luksimg.Inspect(ctx, in.r, in.size, luksimg.ImageOptions{LUKS: opts, Partition: int(o.partition), Unpack: luksimg.Unpacking{Never: true}})
	switch {
	case found != nil:
		return found, nil
	case err == nil:
		err = rest.WithHint(fmt.Errorf("%w: %w", luks.ErrNotLUKS, errNoHeader), "luksimg inspect FILE shows what it is; --partition checks LUKS in one of its partitions")
	}
	return nil, in.wrap(err)
}
