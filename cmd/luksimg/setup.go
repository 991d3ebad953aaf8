package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/wrap/keyprotect"
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
		Args: args(),
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

// A thing is something that setup makes if it is missing.
type thing struct {
	What    string `json:"what"`
	Name    string `json:"name"`
	Exists  bool   `json:"exists"`
	Made    bool   `json:"made"`
	Request string `json:"request,omitempty"` // if it is missing: method, address and body
	Command string `json:"command,omitempty"` // of ibmcloud

	make func(ctx context.Context) error
}

// setupResult is what setup --json prints.
type setupResult struct {
	DryRun     bool     `json:"dry_run"`
	RootKeyCRN string   `json:"root_key_crn,omitempty"`
	Bucket     string   `json:"bucket,omitempty"`
	Region     string   `json:"region"`
	ServiceID  string   `json:"service_id,omitempty"` // its IAM id
	APIKeyFile string   `json:"api_key_file,omitempty"`
	Things     []*thing `json:"things"`
}

// A setting is one run of setup.
type setting struct {
	*setupFlags
	t        *talk
	identity *iam.Client
	store    *cos.Client
	keys     *keyprotect.Client
	log      *auditLog

	account  string
	instance crn.CRN // of the key service
	root     string  // the CRN of the root key, "" if it is yet to be made
	iamID    string  // of the service id, "" if it is yet to be made
	cosID    string  // the instance of Object Storage
	things   []*thing
}

func (o *setupFlags) run(c *cobra.Command) error {
	ctx := c.Context()
	s := &setting{setupFlags: o, t: o.talk(c), root: o.rootKey, account: o.account}
	if err := s.check(); err != nil {
		return err
	}
	var err error
	if s.identity, err = o.cloud.iam(); err != nil {
		return err
	}
	if s.account == "" {
		self, err := s.identity.Self(ctx)
		if err != nil {
			return fmt.Errorf("which account this is, which --account tells too: %w", err)
		}
		s.account = self.AccountID
	}
	if s.store, err = o.cloud.cos(o.cosInstance); err != nil {
		return err
	}
	if s.keys, err = o.cloud.keyProtect(s.instance.String()); err != nil {
		return err
	}
	if s.log, err = o.audit.open(""); err != nil {
		return err
	}
	defer s.log.close()
	for _, look := range []func(context.Context) error{s.rootKeyThing, s.bucketThing, s.serviceIDThing, s.policyThings, s.apiKeyThing} {
		if err := look(ctx); err != nil {
			return err
		}
	}
	for _, x := range s.things {
		state := "is there"
		if !x.Exists {
			state = "is missing"
		}
		s.t.say("%s %s: %s", x.What, x.Name, state)
	}
	if !o.dryRun {
		for _, x := range s.things {
			if x.Exists {
				continue
			}
			if err := x.make(ctx); err != nil {
				return fmt.Errorf("%s %s: %w", x.What, x.Name, err)
			}
			x.Made = true
			s.t.say("%s %s: made", x.What, x.Name)
		}
	}
	return s.report()
}

func (s *setting) check() error {
	var err error
	switch {
	case s.root == "" && s.kmsInstance == "":
		return withHint(errors.New("no key service was named"), "name a root key with --root-key-crn, or the instance with --kms-instance-crn")
	case s.root != "" && s.kmsInstance != "":
		return errors.New("--root-key-crn and --kms-instance-crn exclude each other")
	case s.root != "":
		s.instance, err = crn.ParseRootKey(s.root)
	default:
		s.instance, err = crn.ParseInstance(s.kmsInstance)
	}
	if err != nil {
		return err
	}
	if s.root != "" {
		s.instance.ResourceType, s.instance.Resource = "", ""
	}
	if s.region == "" {
		s.region = s.instance.Region
	}
	if s.cosInstance != "" {
		c, err := crn.Parse(s.cosInstance)
		if err != nil || c.Service != iam.COS {
			return errors.New("--cos-instance-crn: not the CRN of an instance of Object Storage")
		}
		s.cosID = c.Instance
	}
	switch {
	case checkTarget(s.target) != nil:
		return checkTarget(s.target)
	case s.target == targetVPC && s.cosInstance == "":
		return errors.New("--target vpc needs --cos-instance-crn")
	case s.bucket != "" && s.cosInstance == "":
		return withHint(errors.New("--bucket needs --cos-instance-crn"), "ibmcloud resource service-instance NAME shows it")
	case s.bucket != "" && s.region != s.instance.Region:
		return withHint(fmt.Errorf("the bucket would be in %s, and the root key is in %s: %w", s.region, s.instance.Region, cos.ErrBucketRegion), "images need both in one region")
	case s.apiKeyFile == "-":
		return errors.New("--api-key-file needs the name of a file")
	}
	return nil
}

// report prints what there is, or what would be made.
func (s *setting) report() error {
	r := setupResult{DryRun: s.dryRun, RootKeyCRN: s.root, Bucket: s.bucket, Region: s.region, ServiceID: s.iamID, APIKeyFile: s.apiKeyFile, Things: s.things}
	var lines []string
	for _, x := range s.things {
		switch {
		case x.Exists:
			lines = append(lines, fmt.Sprintf("there    %s %s", x.What, x.Name))
		case x.Made:
			lines = append(lines, fmt.Sprintf("made     %s %s", x.What, x.Name))
		default:
			lines = append(lines, fmt.Sprintf("missing  %s %s\n         %s\n         %s", x.What, x.Name, strings.ReplaceAll(x.Request, "\n", "\n         "), x.Command))
		}
	}
	if s.root != "" {
		lines = append(lines, "root key "+s.root)
	}
	return s.t.result(r, strings.Join(lines, "\n"))
}

func (s *setting) add(x thing) { s.things = append(s.things, &x) }
