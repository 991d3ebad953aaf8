package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/ibm/deploy"
)

type orderFlags struct {
	*global
	server serverFlags
	call   callFlags
	target string
	region string
	dryRun bool
}

func newOrder(g *global) *cobra.Command {
	o := &orderFlags{global: g}
	c := &cobra.Command{
		Use:   "order IMAGE",
		Short: "Order a server from an image: this costs money",
		Long: `Order orders a server in classic infrastructure (SoftLayer) from the template IMAGE, and waits until it is
provisioned. IMAGE is its number, global identifier or name. With --target vpc, IMAGE is the ID or name of
an image in VPC.

--dry-run has the service check the order without placing it (classic infrastructure only).

Order never repeats an order. If the reply is lost, it looks for the server instead.` + cloudHelp + `
SL_USERNAME and SL_API_KEY hold the credentials for classic infrastructure.`,
		Example: `  luksimg order --dry-run --hostname web1 --domain example.com --cpu 2 --memory 4096 --datacenter dal13 my-image
  luksimg order --hostname web1 --domain example.com --cpu 2 --memory 4096 --datacenter dal13 my-image
  luksimg order --target vpc --region us-south --hostname web1 --zone us-south-1 --vpc-profile bx2-2x8 --vpc VPC --subnet SUBNET my-image`,
		Args: flags.Args("IMAGE"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0]) },
	}
	o.server.add(c)
	f := c.Flags()
	f.StringVar(&o.target, "target", deploy.Classic, "the cloud: classic or vpc")
	f.BoolVar(&o.dryRun, "dry-run", false, "check the order without placing it")
	f.StringVar(&o.region, "region", "", "VPC: the region, such as us-south")
	o.call.add(c)
	o.cloud.addSettle(c)
	o.cloud.add(c, serviceSoftLayer, serviceVPC)
	return c
}

func (o *orderFlags) run(c *cobra.Command, image string) error {
	ctx := c.Context()
	if err := errors.Join(checkWait(o.call.Wait), deploy.CheckTarget(o.target)); err != nil {
		return err
	}
	switch {
	case o.target == deploy.VPC && o.dryRun:
		return deploy.ErrNoDryRun
	case o.target == deploy.VPC && o.region == "":
		return errors.New("a server in VPC needs --region")
	}
	server, err := o.server.read(ctx, o.target)
	if err != nil {
		return err
	}
	return o.call.run(o.global, func(opts deploy.CallOptions) (fmt.Stringer, error) {
		d, err := o.cloud.driver(ctx, o.target, o.region, nil, opts.Log)
		if err != nil {
			return nil, err
		}
		return deploy.OrderServer(ctx, d, image, server, o.dryRun, opts)
	})
}
