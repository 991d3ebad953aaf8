package main

import (
	"cmp"
	"errors"
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
	target   string
	region   string
}

func newExport(g *global) *cobra.Command {
	o := &exportFlags{global: g}
	c := &cobra.Command{
		Use:   "export IMAGE OBJECT",
		Short: "Copy an image template, or a VPC image, to Object Storage",
		Long: `Export copies the private template IMAGE of classic infrastructure (SoftLayer) to
cos://REGION/BUCKET/OBJECT, and waits until that is done. IMAGE is its number, global identifier or name.
Each disk becomes an object: image.vhd gives image-0.vhd, image-1.vhd and so on. The cloud writes with an API
key; see --ibm-api-key-file.

With --target vpc, IMAGE is the ID or name of a private image in VPC, and OBJECT is NAME.qcow2, or
NAME.vhd if the image is not encrypted. An export job called NAME makes it. If an earlier run began
that job, export waits for it. --json includes the wrapped data key of an encrypted image. The image service must
be allowed to write to the bucket:
ibmcloud iam authorization-policy-create is cloud-object-storage Writer --source-resource-type image.` + cloudHelp + `
SL_USERNAME and SL_API_KEY hold the credentials for classic infrastructure.`,
		Example: `  luksimg export my-template cos://us-south/images/my-template.vhd
  luksimg export --target vpc my-image cos://us-south/images/my-copy.qcow2`,
		Args: flags.Args("IMAGE", "OBJECT"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0], args[1]) },
	}
	f := c.Flags()
	f.StringVar(&o.target, "target", deploy.Classic, "the cloud that has the image: classic or vpc")
	f.StringVar(&o.region, "region", "", "the VPC region (default: that of the object)")
	o.handover.add(c)
	o.call.add(c)
	o.cloud.add(c, serviceSoftLayer, serviceVPC)
	return c
}

func (o *exportFlags) run(c *cobra.Command, image, uri string) error {
	ctx := c.Context()
	object, err := cos.ParseURI(uri)
	if err != nil {
		return rest.WithHint(err, "the object is cos://REGION/BUCKET/OBJECT")
	}
	if err := errors.Join(checkWait(o.call.Wait), deploy.CheckTarget(o.target)); err != nil {
		return err
	}
	return o.call.run(o.global, func(opts deploy.CallOptions) (fmt.Stringer, error) {
		if o.target == deploy.VPC {
			cl, err := o.cloud.vpcClient(ctx, cmp.Or(o.region, object.Region))
			if err != nil {
				return nil, err
			}
			return deploy.ExportImage(ctx, cl, image, object, opts)
		}
		cl, err := o.cloud.classicClient(ctx)
		if err != nil {
			return nil, err
		}
		key, err := o.handover.read(ctx, opts.Log)
		if err != nil {
			return nil, err
		}
		defer clear(key)
		return deploy.ExportTemplate(ctx, cl, image, object, key, opts)
	})
}
