// Package account finds what an account of IBM Cloud lacks for the import of encrypted images,
// and makes it: a root key, a bucket, a service id with its policies and its API key, and the
// authorizations without which images import and their servers do not start.
//
// [Look] finds what is there and what is missing, and makes nothing. [Report.Make] makes what is
// missing. What is there already is left as it is. The package prints nothing, and opens no
// file but that of [LocalKeyFile].
package account

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/crn"
	"github.com/luksimg/luksimg/ibm/endpoint"
	"github.com/luksimg/luksimg/ibm/iam"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

// Options say what is to be there. Of RootKeyCRN and KMSInstance one must be set.
type Options struct {
	Identity *iam.Client
	Store    *cos.Client        // of COSInstance
	Keys     *keyprotect.Client // of RootKeyCRN, or of KMSInstance

	Account string // its ID; "" is that of Identity

	RootKeyCRN  string // a root key that is there
	KMSInstance string // the CRN of the key service, to find a root key in or make it
	RootKeyName string

	COSInstance string // the CRN of the instance of Object Storage
	Bucket      string // "" is none
	Region      string // of the bucket; "" is that of the root key
	Class       string // of a new bucket; "" is standard
	BucketKey   bool   // the root key protects a new bucket too

	ServiceID  string // the name of the importer's
	APIKeyName string
	APIKey     *KeyFile // where a new API key goes; nil makes none

	VPC bool // images go to VPC too

	Log *audit.Logger // takes what is made; may be nil

	// The addresses of the services in the requests that a report shows; "" is IBM's.
	IAMURL, KMSURL string
	Network        string // of IBM's addresses: see package endpoint
	Dedicated      bool   // the instance of the key service is one of Key Protect Dedicated
}

// A KeyFile is where the API key goes, which IAM shows only once.
type KeyFile struct {
	Name  string
	There bool // it holds the key that an earlier run made
	// Create begins the file before the key is made. It must not replace a file.
	Create func() (Output, error)
}

// LocalKeyFile is the file of that name on the disks of this machine, which only its owner can
// read.
func LocalKeyFile(name string) *KeyFile {
	_, err := os.Lstat(name)
	return &KeyFile{Name: name, There: !errors.Is(err, fs.ErrNotExist), Create: func() (Output, error) {
		return output.Create(name, 0o600, false)
	}}
}

// An Output is a file that appears with Commit. Abort after it does nothing.
type Output interface {
	io.Writer
	Commit() error
	Abort()
}

// A Report says what there is.
type Report struct {
	Account    string   `json:"-"`
	DryRun     bool     `json:"dry_run"`                // nothing was to be made
	RootKeyCRN string   `json:"root_key_crn,omitempty"` // "" if it is yet to be made
	Bucket     string   `json:"bucket,omitempty"`
	Region     string   `json:"region"`               // of the bucket
	ServiceID  string   `json:"service_id,omitempty"` // its IAM ID; "" if it is yet to be made
	APIKeyFile string   `json:"api_key_file,omitempty"`
	Things     []*Thing `json:"things"`
	Notes      []string `json:"-"` // what was left out, and why

	o        Options
	instance crn.CRN // of the key service
	cosID    string  // of the instance of Object Storage
}

// A Thing is there, or is missing, or was made.
type Thing struct {
	What    string `json:"what"`
	Name    string `json:"name"`
	Exists  bool   `json:"exists"`
	Made    bool   `json:"made"`
	Request string `json:"request,omitempty"` // if it is missing: method, address and body
	Command string `json:"command,omitempty"` // of ibmcloud

	make func(ctx context.Context) error
}

// Check looks at the options, but for the clients.
func (o Options) Check() error {
	_, err := o.report()
	return err
}

func (o Options) report() (*Report, error) {
	r := &Report{Account: o.Account, RootKeyCRN: o.RootKeyCRN, Bucket: o.Bucket, Region: o.Region, o: o}
	if o.APIKey != nil {
		r.APIKeyFile = o.APIKey.Name
	}
	var err error
	switch {
	case o.RootKeyCRN == "" && o.KMSInstance == "":
		return nil, rest.WithHint(errors.New("no key service was named"), "name a root key with --root-key-crn, or the instance with --kms-instance-crn")
	case o.RootKeyCRN != "" && o.KMSInstance != "":
		return nil, errors.New("--root-key-crn and --kms-instance-crn exclude each other")
	case o.RootKeyCRN != "":
		r.instance, err = crn.ParseRootKey(o.RootKeyCRN)
		r.instance.ResourceType, r.instance.Resource = "", ""
	default:
		r.instance, err = crn.ParseInstance(o.KMSInstance)
	}
	if err != nil {
		return nil, err
	}
	if r.Region == "" {
		r.Region = r.instance.Region
	}
	if o.COSInstance != "" {
		c, err := crn.Parse(o.COSInstance)
		if err != nil || c.Service != iam.COS {
			return nil, errors.New("--cos-instance-crn: not the CRN of an instance of Object Storage")
		}
		r.cosID = c.Instance
	}
	switch {
	case o.VPC && o.COSInstance == "":
		return nil, errors.New("--target vpc needs --cos-instance-crn")
	case o.Bucket != "" && o.COSInstance == "":
		return nil, rest.WithHint(errors.New("--bucket needs --cos-instance-crn"), "ibmcloud resource service-instance NAME shows it")
	case o.Bucket != "" && r.Region != r.instance.Region:
		return nil, rest.WithHint(fmt.Errorf("the bucket would be in %s, and the root key is in %s: %w", r.Region, r.instance.Region, cos.ErrBucketRegion), "images need both in one region")
	}
	if r.o.Class == "" {
		r.o.Class = "standard"
	}
	if r.o.IAMURL == "" {
		r.o.IAMURL = endpoint.IAM(o.Network)
	}
	if r.o.KMSURL == "" {
		r.o.KMSURL = endpoint.KeyProtect(r.instance, o.Network, o.Dedicated)
	}
	return r, nil
}

// Look finds what is there, and makes nothing.
func Look(ctx context.Context, o Options) (*Report, error) {
	r, err := o.report()
	if err != nil {
		return nil, err
	}
	if r.Account == "" {
		self, err := o.Identity.Self(ctx)
		if err != nil {
			return nil, fmt.Errorf("which account this is, which --account tells too: %w", err)
		}
		r.Account = self.AccountID
	}
	for _, look := range []func(context.Context) error{r.rootKey, r.bucket, r.serviceID, r.policies, r.apiKey} {
		if err := look(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Make makes what is missing, in order, and calls made, if that is not nil, after each. After an
// error Look and Make go on where this one ended.
func (r *Report) Make(ctx context.Context, made func(*Thing)) error {
	for _, x := range r.Things {
		if x.Exists || x.Made {
			continue
		}
		if err := x.make(ctx); err != nil {
			return fmt.Errorf("%s %s: %w", x.What, x.Name, err)
		}
		x.Made = true
		if made != nil {
			made(x)
		}
	}
	return nil
}

func (r *Report) add(x Thing) { r.Things = append(r.Things, &x) }
