package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/deploy"
	"github.com/luksimg/luksimg/internal/rest"
)

type exportFlags struct {
	*global
	handover handoverFlags
	call     callFlags
}

func newExport(g *global) *cobra.Command {
	o := &exportFlags{global: g}
	c := &cobra.Command{
		Use:   "export TEMPLATE OBJECT",
		Short: "Copy an image template to Object Storage",
		Long: `Export has classic infrastructure (SoftLayer) copy the private template TEMPLATE, given by its
number, global identifier or name, to cos://REGION/BUCKET/OBJECT, and waits until that is done. Each
disk of it becomes an object of its own: of image.vhd, image-0.vhd, image-1.vhd and so on.

The cloud writes with an API key that it is given; see --ibm-api-key-file.` + cloudHelp + `
SL_USERNAME and SL_API_KEY are those of classic infrastructure.`,
		Example: `  luksimg export my-template cos://us-south/images/my-template.vhd`,
		Args:    flags.Args("TEMPLATE", "OBJECT"),
		RunE:    func(c *cobra.Command, args []string) error { return o.run(c, args[0], args[1]) },
	}
	o.handover.add(c)
	o.call.add(c)
	o.cloud.add(c, serviceSoftLayer)
	return c
}

func (o *exportFlags) run(c *cobra.Command, template, uri string) error {
	ctx := c.Context()
	object, err := cos.ParseURI(uri)
	if err != nil {
		return rest.WithHint(err, "the object is cos://REGION/BUCKET/OBJECT")
	}
	if err := checkWait(o.call.Wait); err != nil {
		return err
	}
	return o.call.run(o.global, func(opts deploy.CallOptions) (fmt.Stringer, error) {
		cl, err := o.cloud.classicClient(ctx)
		if err != nil {
			return nil, err
		}
		key, err := o.handover.read(ctx, opts.Log)
		if err != nil {
			return nil, err
		}
		defer clear(key)
		return deploy.ExportTemplate(ctx, cl, template, object, key, opts)
	})
}
