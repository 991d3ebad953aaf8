package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/deploy"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
)

// classicClient returns a client of classic infrastructure.
func (o *cloudFlags) classicClient(ctx context.Context) (*softlayer.Client, error) {
	network, err := o.net()
	if err != nil {
		return nil, err
	}
	user, key, err := o.softLayer(ctx)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	c, err := softlayer.New(softlayer.Options{Endpoint: o.url(serviceSoftLayer), Network: network, User: user, APIKey: string(key), Settle: o.settle})
	return c, o.named(serviceSoftLayer, err)
}

// vpcClient returns a client of VPC in a region.
func (o *cloudFlags) vpcClient(ctx context.Context, region string) (*vpc.Client, error) {
	network, err := o.net()
	if err != nil {
		return nil, err
	}
	identity, err := o.iam(ctx)
	if err != nil {
		return nil, err
	}
	c, err := vpc.New(vpc.Options{Region: region, Endpoint: o.url(serviceVPC), Network: network, Tokens: identity, Settle: o.settle})
	return c, o.named(serviceVPC, err)
}

// driver returns the driver of a target. region is the VPC region. handover supplies the API key that classic
// infrastructure uses.
func (o *cloudFlags) driver(ctx context.Context, target, region string, handover *handoverFlags, log *audit.Logger) (deploy.Driver, error) {
	if target == deploy.VPC {
		c, err := o.vpcClient(ctx, region)
		return deploy.NewVPC(c), err
	}
	c, err := o.classicClient(ctx)
	return deploy.NewClassic(c, func() ([]byte, error) { return handover.read(ctx, log) }), err
}

// clients returns the clients of a deployment. It sends no request.
func (o *cloudFlags) clients(ctx context.Context, d *deploy.Deployment, handover *handoverFlags, log *audit.Logger) (cl deploy.Clients, err error) {
	cl.Log = log
	if cl.Identity, err = o.iam(ctx); err != nil {
		return cl, err
	}
	// The correlation ID also appears in the events of the key service.
	if cl.RootKey, err = o.keyProtect(ctx, d.Plan.RootKeyCRN, d.ID); err != nil {
		return cl, err
	}
	at, store, err := o.object(ctx, d.Plan.Object)
	if err != nil {
		return cl, err
	}
	cl.Store = store
	cl.Cloud, err = o.driver(ctx, d.Plan.Target(), at.Region, handover, log)
	return cl, err
}

// object parses the URI of an object, and returns a client for it.
func (o *cloudFlags) object(ctx context.Context, uri string) (at cos.Object, c *cos.Client, err error) {
	if at, err = cos.ParseURI(uri); err == nil {
		c, err = o.cos(ctx, "")
	}
	return at, c, err
}

// checkPlace checks the destination of an upload.
func (g *global) checkPlace(ctx context.Context, c *cos.Client, at cos.Object, o cos.PlaceOptions) error {
	asked, err := c.CheckPlace(ctx, at, o)
	if !asked && err == nil {
		g.Say("%s: this identity may not read the location of the bucket, so it was not checked", at.Bucket)
	}
	return err
}

// handoverFlags name the API key that the cloud's importer uses. Best is the API key of a service ID that may do only
// this.
type handoverFlags struct{ file string }

func (o *handoverFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&o.file, "ibm-api-key-file", "", "`FILE` with the API key that the cloud itself uses for the object and the root key; setup makes one (default: $"+envAPIKey+")")
}

// read returns the API key and hides it from the log. The caller wipes it.
func (o *handoverFlags) read(ctx context.Context, log *audit.Logger) (key []byte, err error) {
	if o.file == "" {
		key, err = credential(ctx, envAPIKey)
	} else {
		key, err = keys.ReadAPIKey(ctx, "--ibm-api-key-file", o.file)
	}
	log.AddSecret(key)
	return key, err
}

// event reports an event of a deployment.
func (g *global) event(e deploy.Event) {
	if e.Warning {
		g.Warn("%s", e.Text)
	} else {
		g.Say("%s", e.Text)
	}
}

// addWait adds the flags for waiting until the cloud has finished.
func addWait(c *cobra.Command, o *softlayer.WaitOptions) {
	c.Flags().DurationVar(&o.Timeout, "timeout", 2*time.Hour, "how long to wait for the cloud")
	c.Flags().DurationVar(&o.Interval, "poll", 10*time.Second, "time between two requests for the state")
}

func checkWait(o softlayer.WaitOptions) error {
	if o.Timeout <= 0 || o.Interval <= 0 {
		return errors.New("--timeout and --poll must be more than zero")
	}
	return nil
}

// auditFlags name the log of luksimg's own actions in the cloud.
type auditFlags struct{ file string }

func (o *auditFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&o.file, "audit-log", "", "append each action in the cloud to `FILE`, as one CADF event (JSON) a line, which luksimg audit reads")
}

// open opens the log, or returns nil if no log was named. correlation links its events to those of the services.
func (o *auditFlags) open(correlation string) (*audit.Logger, error) {
	return audit.OpenLog(o.file, audit.LoggerOptions{CorrelationID: correlation, Initiator: audit.Party{Name: toolName()}})
}

// callFlags are the flags of verbs that make one call to the cloud.
type callFlags struct {
	deploy.CallOptions
	audit auditFlags
}

func (o *callFlags) add(c *cobra.Command) {
	addWait(c, &o.Wait)
	c.Flags().BoolVar(&o.NoWait, "no-wait", false, "return as soon as the cloud has accepted the request")
	o.audit.add(c)
}

// run makes the call, closes the log and prints the result.
func (o *callFlags) run(g *global, call func(opts deploy.CallOptions) (fmt.Stringer, error)) (err error) {
	o.Event = g.event
	if o.Log, err = o.audit.open(""); err != nil {
		return err
	}
	defer o.Log.Close()
	r, err := call(o.CallOptions)
	if err != nil {
		return err
	}
	return g.Result(r, talk.Line("%s", r))
}
