// Package account prepares an account of IBM Cloud for the import of encrypted images. It creates
// a root key, a bucket, a service ID with its policies and API key, and the service authorizations.
// Without the authorizations the import fails, or servers of the image do not start.
//
// [Look] reports what exists and what is missing, and changes nothing. [Report.Make] creates what is
// missing and leaves what exists unchanged. The package prints nothing. The only file it opens is
// that of [LocalKeyFile].
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

// Options describe the wanted setup. Exactly one of RootKeyCRN and KMSInstance must be set.
type Options struct {
	Identity *iam.Client
	Store    *cos.Client        // for COSInstance
	Keys     *keyprotect.Client // for the instance of RootKeyCRN or KMSInstance

	Account string // account ID; "" means the account of Identity

	RootKeyCRN  string // an existing root key
	KMSInstance string // CRN of the key service instance in which the root key is found or created
	RootKeyName string

	COSInstance string // CRN of the Object Storage instance
	Bucket      string // "" means no bucket
	Region      string // of the bucket; "" means the region of the root key
	Class       string // storage class of a new bucket; "" means standard
	BucketKey   bool   // whether the root key also encrypts a new bucket

	ServiceID  string // name of the service ID that imports images
	APIKeyName string
	APIKey     *KeyFile // receives the new API key; nil creates no API key

	VPC bool // images are also imported into VPC

	Log *audit.Logger // records what is created; nil records nothing

	// Service addresses for the requests that a report shows; "" means IBM's.
	IAMURL, KMSURL string
	Network        string // network of IBM's addresses: see package endpoint
	Dedicated      bool   // the key service instance is Key Protect Dedicated
}

// A KeyFile is the file that receives the API key. IAM shows an API key only once.
type KeyFile struct {
	Name  string
	There bool // the file exists and holds the key of an earlier run
	// Create opens the file before the key is created. It must fail if the file exists.
	Create func() (Output, error)
}

// LocalKeyFile returns the [KeyFile] with the given name on the local filesystem. Only the owner
// can read the file.
func LocalKeyFile(name string) *KeyFile {
	_, err := os.Lstat(name)
	return &KeyFile{Name: name, There: !errors.Is(err, fs.ErrNotExist), Create: func() (Output, error) {
		return output.Create(name, 0o600, false)
	}}
}

// An Output is a file that appears under its name on Commit. Abort after Commit does nothing.
type Output interface {
	io.Writer
	Commit() error
	Abort()
}

// A Report lists what exists and what is missing.
type Report struct {
	Account    string   `json:"-"`
	DryRun     bool     `json:"dry_run"`                // set by Setup if it was told to create nothing
	RootKeyCRN string   `json:"root_key_crn,omitempty"` // "" until it is created
	Bucket     string   `json:"bucket,omitempty"`
	Region     string   `json:"region"`               // of the bucket
	ServiceID  string   `json:"service_id,omitempty"` // its IAM ID; "" until it is created
	APIKeyFile string   `json:"api_key_file,omitempty"`
	Things     []*Thing `json:"things"`
	Notes      []string `json:"-"` // what was skipped, and why

	o        Options
	instance crn.CRN // of the key service
	cosID    string  // of the Object Storage instance
}

// A Thing is a resource that exists, is missing, or was created.
type Thing struct {
	What    string `json:"what"`
	Name    string `json:"name"`
	Exists  bool   `json:"exists"`
	Made    bool   `json:"made"`
	Request string `json:"request,omitempty"` // for a missing one: method, address and body of the request
	Command string `json:"command,omitempty"` // for a missing one: the ibmcloud command

	make func(ctx context.Context) error
}

// Check validates the options, except the clients.
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
		return nil, rest.WithHint(errors.New("no key service specified"), "name a root key with --root-key-crn, or the instance with --kms-instance-crn")
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
		return nil, rest.WithHint(fmt.Errorf("bucket region %s differs from root key region %s: %w", r.Region, r.instance.Region, cos.ErrBucketRegion), "images need both in one region")
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

// Look reports what exists and what is missing. It changes nothing.
func Look(ctx context.Context, o Options) (*Report, error) {
	r, err := o.report()
	if err != nil {
		return nil, err
	}
	if r.Account == "" {
		self, err := o.Identity.Self(ctx)
		if err != nil {
			return nil, fmt.Errorf("finding the account of the API key (or set --account): %w", err)
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

// Make creates what is missing, in order. It calls made, if not nil, after each resource. After an
// error, call Look and Make again to continue.
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
