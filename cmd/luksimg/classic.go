package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
)

// Targets: where an image goes.
const (
	targetClassic = "classic"
	targetVPC     = "vpc"
)

// classicClient returns the client of classic infrastructure.
func (o *cloudFlags) classicClient(ctx context.Context) (*softlayer.Client, error) {
	user, key, err := o.softLayer(ctx)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	opts := softlayer.Options{Endpoint: o.url(serviceSoftLayer), User: user, APIKey: string(key), Settle: o.settle}
	if opts.Endpoint == "" && o.private {
		opts.Endpoint = "https://api.service.softlayer.com/rest/v3.1"
	}
	return softlayer.New(opts)
}

// vpcClient returns the client of VPC in a region.
func (o *cloudFlags) vpcClient(ctx context.Context, region string) (*vpc.Client, error) {
	identity, err := o.iam(ctx)
	if err != nil {
		return nil, err
	}
	opts := vpc.Options{Region: region, Endpoint: o.url(serviceVPC), Tokens: identity, Settle: o.settle}
	if opts.Endpoint == "" && o.private {
		opts.Endpoint = "https://" + region + ".private.iaas.cloud.ibm.com"
	}
	return vpc.New(opts)
}

// regionOf returns the region of the root key, or "" if crn is none.
func regionOf(name string) string {
	c, err := crn.ParseRootKey(name)
	if err != nil {
		return ""
	}
	return c.Region
}

// handoverFlags give the API key that the importer uses, which is best one of a service id
// that can do no more than that.
type handoverFlags struct{ file string }

func (o *handoverFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&o.file, "ibm-api-key-file", "", "`FILE` with the API key that the cloud itself uses for the object and the root key, such as setup makes (default: that of $"+envAPIKey+")")
}

// read returns the API key, which the caller wipes.
func (o *handoverFlags) read(ctx context.Context) ([]byte, error) {
	if o.file == "" {
		return credential(ctx, envAPIKey)
	}
	return keys.ReadAPIKey(ctx, "--ibm-api-key-file", o.file)
}

// waitFlags say how to wait for what takes the cloud minutes.
type waitFlags struct {
	timeout time.Duration
	poll    time.Duration
	noWait  bool
}

func (o *waitFlags) add(c *cobra.Command, canSkip bool) {
	f := c.Flags()
	f.DurationVar(&o.timeout, "timeout", 2*time.Hour, "how long to wait for the cloud")
	f.DurationVar(&o.poll, "poll", 10*time.Second, "how often to ask meanwhile")
	if canSkip {
		f.BoolVar(&o.noWait, "no-wait", false, "do not wait: end when the cloud has accepted it")
	}
}

func (o *waitFlags) check() error {
	if o.timeout <= 0 || o.poll <= 0 {
		return errors.New("--timeout and --poll must be more than zero")
	}
	return nil
}

// told returns a function that says how a transaction goes: each step once.
func told(t *talk.Talk, what string) func(status, detail string, elapsed time.Duration) {
	last := ""
	return func(status, detail string, elapsed time.Duration) {
		now := status
		if detail != "" && detail != status {
			now = strings.TrimPrefix(status+": "+detail, ": ")
		}
		if now != "" && now != last {
			t.Say("%s: %s (%v)", what, now, elapsed.Round(time.Second))
			last = now
		}
	}
}

// options returns the options to wait for what.
func (o *waitFlags) options(t *talk.Talk, what string) softlayer.WaitOptions {
	tell := told(t, what)
	return softlayer.WaitOptions{Interval: o.poll, Timeout: o.timeout, Progress: func(p softlayer.Progress) {
		step := p.Step
		if step == "" {
			step = p.Status
		}
		tell(step, p.Detail, p.Elapsed)
	}}
}

// checkTarget looks at a value of --target.
func checkTarget(target string) error {
	if target != targetClassic && target != targetVPC {
		return fmt.Errorf("--target %s: want %s or %s", target, targetClassic, targetVPC)
	}
	return nil
}
