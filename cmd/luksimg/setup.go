package main

import (
	"cmp"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/account"
	"github.com/luksimg/luksimg/ibm/deploy"
)

type setupFlags struct {
	*global
	account.Options
	audit      auditFlags
	apiKeyFile string
	target     string
	dryRun     bool
}

func newSetup(g *global) *cobra.Command {
	o := &setupFlags{global: g}
	c := &cobra.Command{
		Use:   "setup",
		Short: "Create what an encrypted import needs: root key, bucket, service ID, authorization",
		Long: `Setup looks for what an encrypted import needs, shows what is missing, and creates it:

  - a root key in Key Protect, unless --root-key-crn names one
  - a regional bucket in the region of the root key; --bucket-key has the root key protect it
  - a service ID for the importer, which can read the Object Storage instance of the bucket
    and the instance of the root key, and no more; and an API key for it, written to
    --api-key-file
  - the authorization of Cloud Block Storage to use the root key: without it, encrypted images
    import, but their servers do not start
  - with --target vpc, the authorization of the VPC image service to read the Object Storage
    instance

Setup changes nothing that exists: a second run does nothing. --dry-run only prints the requests, and the
ibmcloud commands that do the same.` + cloudHelp,
		Example: `  luksimg setup --dry-run --kms-instance-crn CRN --cos-instance-crn CRN --bucket images --api-key-file importer.key
  luksimg setup --root-key-crn CRN --cos-instance-crn CRN --bucket images --api-key-file importer.key`,
		Args: flags.Args(),
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	f := c.Flags()
	f.StringVar(&o.RootKeyCRN, "root-key-crn", "", "the `CRN` of an existing root key (default: $"+envRootKey+", unless --kms-instance-crn is given)")
	f.StringVar(&o.KMSInstance, "kms-instance-crn", "", "the `CRN` of the key service instance, where setup finds or makes a root key (default: $"+envKMSInstance+", unless there is a root key)")
	f.StringVar(&o.RootKeyName, "root-key-name", "luksimg", "the name of the root key")
	f.StringVar(&o.COSInstance, "cos-instance-crn", "", "the `CRN` of the instance of Object Storage (default: $"+envCOSInstance+")")
	f.StringVar(&o.Bucket, "bucket", "", "the name of the bucket")
	f.StringVar(&o.Region, "region", "", "the region of the bucket (default: that of the root key)")
	f.StringVar(&o.Class, "class", "standard", "the class of the bucket: standard, vault, cold or smart")
	f.BoolVar(&o.BucketKey, "bucket-key", false, "have the root key protect a new bucket too (SSE-KP)")
	f.StringVar(&o.ServiceID, "service-id", "luksimg-import", "the name of the service ID")
	f.StringVar(&o.APIKeyName, "api-key-name", "luksimg-import", "the name of its API key")
	f.StringVar(&o.apiKeyFile, "api-key-file", "", "write a new API key to `FILE`, which must not exist and which only you can read (default: no API key)")
	f.StringVar(&o.Account, "account", "", "the `ID` of the account (default: that of the API key in use)")
	f.StringVar(&o.target, "target", deploy.Classic, "where images will go: classic or vpc")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the requests and commands, and change nothing")
	o.cloud.add(c, serviceKMS, serviceCOS)
	o.audit.add(c)
	return c
}

// fromEnvironment takes values that no flag gives from the environment.
func (o *setupFlags) fromEnvironment() {
	o.COSInstance = cmp.Or(o.COSInstance, os.Getenv(envCOSInstance))
	if o.KMSInstance == "" {
		o.RootKeyCRN = cmp.Or(o.RootKeyCRN, os.Getenv(envRootKey))
	}
	if o.RootKeyCRN == "" {
		o.KMSInstance = cmp.Or(o.KMSInstance, os.Getenv(envKMSInstance))
	}
}

func (o *setupFlags) run(c *cobra.Command) error {
	ctx := c.Context()
	o.fromEnvironment()
	o.VPC = o.target == deploy.VPC
	o.IAMURL, o.KMSURL, o.Dedicated = o.cloud.url(serviceIAM), o.cloud.url(serviceKMS), o.cloud.dedicated
	if o.apiKeyFile != "" {
		o.APIKey = account.LocalKeyFile(o.apiKeyFile)
	}
	var err error
	if o.Network, err = o.cloud.net(); err != nil {
		return err
	}
	err = errors.Join(o.Check(), deploy.CheckTarget(o.target))
	if err == nil && o.apiKeyFile == "-" {
		err = errors.New("--api-key-file needs the name of a file")
	}
	if err != nil {
		return err
	}
	if o.Identity, err = o.cloud.iam(ctx); err != nil {
		return err
	}
	if o.Store, err = o.cloud.cos(ctx, o.COSInstance); err != nil {
		return err
	}
	if o.Keys, err = o.cloud.keyProtect(ctx, cmp.Or(o.RootKeyCRN, o.KMSInstance), ""); err != nil {
		return err
	}
	if o.Log, err = o.audit.open(""); err != nil {
		return err
	}
	defer o.Log.Close()
	r, err := account.Setup(ctx, o.Options, o.dryRun, func(text string) { o.Say("%s", text) })
	if err != nil {
		return err
	}
	return o.Result(r, talk.Lines(r.Lines()))
}
