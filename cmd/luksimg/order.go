package main

import (
	"context"
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
)

type orderFlags struct {
	*global
	server serverFlags
	wait   waitFlags
	audit  auditFlags
	target string
	region string
	dryRun bool
	place  vpcFlags
}

func newOrder(g *global) *cobra.Command {
	o := &orderFlags{global: g}
	c := &cobra.Command{
		Use:   "order IMAGE",
		Short: "Order a server from an image: this costs money",
		Long: `Order orders a server in classic infrastructure (SoftLayer) from the template IMAGE, given
by its number, global identifier or name, and waits until it is provisioned. With --target
vpc IMAGE is the ID or the name of an image in VPC.

--dry-run has the service check the order, and orders nothing (classic infrastructure only).

An order is never repeated: if its answer is lost, the server is looked for.` + cloudHelp + `
SL_USERNAME and SL_API_KEY are those of classic infrastructure.`,
		Example: `  luksimg order --dry-run --hostname web1 --domain example.com --cpu 2 --memory 4096 --datacenter dal13 my-image
  luksimg order --hostname web1 --domain example.com --cpu 2 --memory 4096 --datacenter dal13 my-image
  luksimg order --target vpc --region us-south --hostname web1 --zone us-south-1 --vpc-profile bx2-2x8 --vpc VPC --subnet SUBNET my-image`,
		Args: flags.Args("IMAGE"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0]) },
	}
	o.server.add(c)
	f := c.Flags()
	f.StringVar(&o.target, "target", targetClassic, "where: classic or vpc")
	f.BoolVar(&o.dryRun, "dry-run", false, "have the order checked, and order nothing")
	f.StringVar(&o.region, "region", "", "VPC: the region, such as us-south")
	o.place.add(c)
	o.wait.add(c, true)
	o.cloud.addSettle(c)
	o.cloud.add(c, serviceSoftLayer, serviceVPC)
	o.audit.add(c)
	return c
}

// orderResult is what order --json prints.
type orderResult struct {
	Target   string           `json:"target"`
	DryRun   bool             `json:"dry_run"`
	Ready    bool             `json:"ready"`
	Quote    *softlayer.Quote `json:"quote,omitempty"`
	Server   *softlayer.Guest `json:"server,omitempty"`
	Instance *vpc.Instance    `json:"instance,omitempty"`
}

func (o *orderFlags) run(c *cobra.Command, image string) error {
	ctx, t := c.Context(), &o.Talk
	if err := errors.Join(o.wait.check(), checkTarget(o.target)); err != nil {
		return err
	}
	log, err := o.audit.open("")
	if err != nil {
		return err
	}
	defer log.close()
	if o.target == targetVPC {
		return o.vpc(ctx, t, image, log)
	}
	r, err := o.server.request(ctx)
	if err != nil {
		return err
	}
	cl, err := o.cloud.classicClient(ctx)
	if err != nil {
		return err
	}
	tpl, err := findTemplate(ctx, cl, image)
	if err != nil {
		return err
	}
	r.Template = tpl.GlobalIdentifier
	if o.dryRun {
		q, err := cl.CheckOrder(ctx, r)
		if err != nil {
			return err
		}
		return t.Result(orderResult{Target: o.target, DryRun: true, Quote: q},
			talk.Line("would order %s.%s from %s: %.3f an hour, %.2f a month", r.Hostname, r.Domain, tpl.Name, q.Hourly, q.Monthly))
	}
	g, err := cl.Order(ctx, r)
	target := r.Hostname + "." + r.Domain
	if err := log.Did(audit.ActionOrder, target, map[string]any{"imageTemplate": r.Template, "datacenter": r.Datacenter}, err); err != nil {
		return err
	}
	t.Say("order: server %d was ordered", g.ID)
	if !o.wait.noWait {
		if g, err = cl.WaitOrder(ctx, g.ID, o.wait.options(t, "order")); err != nil {
			return err
		}
	}
	return t.Result(orderResult{Target: o.target, Ready: g.Ready(), Server: g}, serverText(g))
}

func serverText(g *softlayer.Guest) string {
	s := talk.Line("server %d, %s.%s", g.ID, g.Hostname, g.Domain)
	if g.PublicIP != "" {
		s += ", " + g.PublicIP
	}
	return s
}

// findTemplate returns the template of a number, a global identifier or a name.
func findTemplate(ctx context.Context, cl *softlayer.Client, image string) (*softlayer.Template, error) {
	if n, err := strconv.Atoi(image); err == nil && n > 0 {
		return cl.Template(ctx, n)
	}
	tpl, err := cl.FindTemplate(ctx, image)
	if !errors.Is(err, softlayer.ErrNotFound) {
		return tpl, err
	}
	all, listErr := cl.Templates(ctx)
	if listErr != nil {
		return nil, listErr
	}
	for i := range all {
		if all[i].GlobalIdentifier == image {
			return &all[i], nil
		}
	}
	return nil, err
}

func (o *orderFlags) vpc(ctx context.Context, t *talk.Talk, image string, log *auditLog) error {
	switch {
	case o.dryRun:
		return errors.New("VPC has no --dry-run: it checks nothing without ordering it")
	case o.region == "":
		return errors.New("a server in VPC needs --region")
	}
	r, err := o.place.request(ctx, &o.server)
	if err != nil {
		return err
	}
	cl, err := o.cloud.vpcClient(ctx, o.region)
	if err != nil {
		return err
	}
	img, err := cl.FindImage(ctx, image)
	if errors.Is(err, vpc.ErrNotFound) {
		img, err = cl.Image(ctx, image)
	}
	if err != nil {
		return err
	}
	r.Image = img.ID
	i, err := cl.CreateInstance(ctx, r)
	if err := log.Did(audit.ActionOrder, o.server.hostname, map[string]any{"image": img.ID, "zone": o.place.zone}, err); err != nil {
		return err
	}
	t.Say("order: instance %s was ordered", i.ID)
	if !o.wait.noWait {
		if i, err = cl.WaitInstance(ctx, i.ID, o.wait.options(t, "order")); err != nil {
			return err
		}
	}
	return t.Result(orderResult{Target: o.target, Ready: i.Status == "running", Instance: i}, talk.Line("instance %s, %s", i.ID, i.Name))
}
