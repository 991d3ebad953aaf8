package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/account"
	"github.com/luksimg/luksimg/internal/output"
)

type setupFlags struct {
	*global
	audit auditFlags

	rootKey     string
	kmsInstance string
	rootKeyName string
	cosInstance string
	bucket      string
	region      string
	class       string
	bucketKey   bool
	serviceID   string
	apiKeyName  string
	apiKeyFile  string
	account     string
	target      string
	dryRun      bool
}

func newSetup(g *global) *cobra.Command {
	o := &setupFlags{global: g}
	c := &cobra.Command{
		Use:   "setup",
		Short: "Make what must be there before an encrypted image is imported: root key, bucket, service id, authorization",
		Long: `Setup looks for what importing an encrypted image needs, shows what is missing, and makes that:

  - a root key in Key Protect, unless --root-key-crn names one
  - a regional bucket in the region of the root key; --bucket-key has the root key protect it
  - a service id for the importer, which may read the bucket's service instance and the
    instance of the root key, and no more; and an API key for it, written to --api-key-file
  - the authorization of Cloud Block Storage to use the root key, without which encrypted
    images import and their servers do not start; with --target vpc those of the image
    service of VPC too, to use the root key and to read the instance of Object Storage

What is there already is left as it is: a second run changes nothing. --dry-run makes nothing,
and prints the requests, and the ibmcloud commands that do the same.` + cloudHelp,
		Example: `  luksimg setup --dry-run --kms-instance-crn CRN --cos-instance-crn CRN --bucket images --api-key-file importer.key
  luksimg setup --root-key-crn CRN --cos-instance-crn CRN --bucket images --api-key-file importer.key`,
		Args: flags.Args(),
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	f := c.Flags()
	f.StringVar(&o.rootKey, "root-key-crn", "", "the `CRN` of a root key that is there")
	f.StringVar(&o.kmsInstance, "kms-instance-crn", "", "the `CRN` of the key service instance, to make or find a root key in")
	f.StringVar(&o.rootKeyName, "root-key-name", "luksimg", "the name of the root key")
	f.StringVar(&o.cosInstance, "cos-instance-crn", "", "the `CRN` of the instance of Object Storage")
	f.StringVar(&o.bucket, "bucket", "", "the name of the bucket")
	f.StringVar(&o.region, "region", "", "the region of the bucket (default: that of the root key)")
	f.StringVar(&o.class, "class", "standard", "the class of the bucket: standard, vault, cold or smart")
	f.BoolVar(&o.bucketKey, "bucket-key", false, "have the root key protect a new bucket too (SSE-KP)")
	f.StringVar(&o.serviceID, "service-id", "luksimg-import", "the name of the service id")
	f.StringVar(&o.apiKeyName, "api-key-name", "luksimg-import", "the name of its API key")
	f.StringVar(&o.apiKeyFile, "api-key-file", "", "`FILE` for the API key, which must not exist: only its owner can read it (default: no API key is made)")
	f.StringVar(&o.account, "account", "", "the `ID` of the account (default: that of the API key in use)")
	f.StringVar(&o.target, "target", targetClassic, "where images will go: classic or vpc")
	f.BoolVar(&o.dryRun, "dry-run", false, "make nothing; print the requests and commands")
	o.cloud.add(c, serviceKMS, serviceCOS)
	o.audit.add(c)
	return c
}

// setupResult is what setup --json prints.
type setupResult struct {
	DryRun     bool             `json:"dry_run"`
	RootKeyCRN string           `json:"root_key_crn,omitempty"`
	Bucket     string           `json:"bucket,omitempty"`
	Region     string           `json:"region"`
	ServiceID  string           `json:"service_id,omitempty"` // its IAM id
	APIKeyFile string           `json:"api_key_file,omitempty"`
	Things     []*account.Thing `json:"things"`
}

// options returns what the flags ask for, and the clients.
func (o *setupFlags) options(ctx context.Context) (account.Options, error) {
	opts := account.Options{
		Account: o.account, RootKeyCRN: o.rootKey, KMSInstance: o.kmsInstance, RootKeyName: o.rootKeyName,
		COSInstance: o.cosInstance, Bucket: o.bucket, Region: o.region, Class: o.class, BucketKey: o.bucketKey,
		ServiceID: o.serviceID, APIKeyName: o.apiKeyName, VPC: o.target == targetVPC,
		IAMURL: o.cloud.url(serviceIAM), KMSURL: o.cloud.url(serviceKMS), Private: o.cloud.private,
	}
	if o.apiKeyFile != "" {
		_, err := os.Lstat(o.apiKeyFile)
		opts.APIKey = &account.KeyFile{Name: o.apiKeyFile, There: !errors.Is(err, fs.ErrNotExist), Create: func() (account.Output, error) {
			return output.Create(o.apiKeyFile, 0o600, false)
		}}
	}
	if err := errors.Join(opts.Check(), checkTarget(o.target)); err != nil {
		return opts, err
	}
	if o.apiKeyFile == "-" {
		return opts, errors.New("--api-key-file needs the name of a file")
	}
	var err error
	if opts.Identity, err = o.cloud.iam(ctx); err != nil {
		return opts, err
	}
	if opts.Store, err = o.cloud.cos(ctx, o.cosInstance); err != nil {
		return opts, err
	}
	opts.Keys, err = o.cloud.keyProtect(ctx, cmp.Or(o.rootKey, o.kmsInstance))
	return opts, err
}

func (o *setupFlags) run(c *cobra.Command) error {
	ctx, t := c.Context(), &o.Talk
	opts, err := o.options(ctx)
	if err != nil {
		return err
	}
	log, err := o.audit.open("")
	if err != nil {
		return err
	}
	defer log.close()
	opts.Log = log.Logger
	r, err := account.Look(ctx, opts)
	if err != nil {
		return err
	}
	for _, n := range r.Notes {
		t.Say("%s", n)
	}
	for _, x := range r.Things {
		state := "is there"
		if !x.Exists {
			state = "is missing"
		}
		t.Say("%s %s: %s", x.What, x.Name, state)
	}
	if !o.dryRun {
		if err := r.Make(ctx, func(x *account.Thing) { t.Say("%s %s: made", x.What, x.Name) }); err != nil {
			return err
		}
	}
	return t.Result(setupResult{
		DryRun: o.dryRun, RootKeyCRN: r.RootKeyCRN, Bucket: o.bucket, Region: r.Region, ServiceID: r.ServiceID, APIKeyFile: o.apiKeyFile, Things: r.Things,
	}, setupText(r))
}

// setupText tells what there is, or what would be made.
func setupText(r *account.Report) string {
	var lines []string
	for _, x := range r.Things {
		switch {
		case x.Exists:
			lines = append(lines, talk.Line("there    %s %s", x.What, x.Name))
		case x.Made:
			lines = append(lines, talk.Line("made     %s %s", x.What, x.Name))
		default:
			lines = append(lines, fmt.Sprintf("missing  %s %s\n         %s\n         %s", x.What, x.Name, strings.ReplaceAll(x.Request, "\n", "\n         "), x.Command))
		}
	}
	if r.RootKeyCRN != "" {
		lines = append(lines, "root key "+r.RootKeyCRN)
	}
	return strings.Join(lines, "\n")
}
