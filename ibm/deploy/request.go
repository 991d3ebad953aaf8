package deploy

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
)

// An ImageRequest describes an image to import.
type ImageRequest struct {
	Name, Note string // of the template; VPC ignores Note
	OSCode     string // operating system code of the cloud
	URI        string // of the object: cos://REGION/BUCKET/OBJECT
	RootKeyCRN string
	WrappedDEK string
	Encrypted  bool // requires RootKeyCRN and WrappedDEK; implied by them
	CloudInit  bool // the image has cloud-init, which an encrypted one requires
	BYOL       bool // bring your own license
}

// TakeKey uses the wrapped key of an envelope. It returns an error if the key convention of the envelope
// does not suit the kind of image that the object name indicates.
func (r *ImageRequest) TakeKey(e *wrap.Envelope) error {
	if e.RootKeyCRN == "" {
		return rest.WithHint(fmt.Errorf("the root key of the envelope is in %s, which IBM Cloud cannot use", e.KMS),
			"wrap the key again with a root key in Key Protect: luksimg rewrap")
	}
	object, err := cos.ParseURI(r.URI)
	for _, p := range luksimg.Profiles() {
		if k := p.Rules(); err == nil && strings.EqualFold(path.Ext(object.Key), k.Extension) && e.Convention != k.Convention {
			return rest.WithHint(fmt.Errorf("the key has the convention %q, but the name %s indicates an image for %s: it would import and never start",
				e.Convention, object.Key, k.Convention), "encrypt the image with --profile "+string(k.Convention)+", and wrap its key with the same convention")
		}
	}
	r.WrappedDEK, r.RootKeyCRN = e.WDEK, e.RootKeyCRN
	return nil
}

// Complete fills in the empty fields of a request: Name becomes the name of the object. It returns an
// error for an invalid request.
func (r ImageRequest) Complete() (ImageRequest, error) {
	object, err := cos.ParseURI(r.URI)
	if err != nil {
		return r, rest.WithHint(err, "the object has the form cos://REGION/BUCKET/OBJECT")
	}
	r.URI = object.String()
	r.Encrypted = r.Encrypted || r.WrappedDEK != "" || r.RootKeyCRN != ""
	if r.Encrypted && (r.WrappedDEK == "" || r.RootKeyCRN == "") {
		return r, rest.WithHint(errors.New("an encrypted image requires its wrapped data key and root key"), "give --envelope FILE, or --wrapped-dek and --root-key-crn")
	}
	if r.Name == "" {
		r.Name = strings.TrimSuffix(path.Base(object.Key), path.Ext(object.Key))
	}
	return r, nil
}

// Check returns an error for names that the cloud would refuse.
func (r ImageRequest) Check(target string) error {
	err := checkNames(target, r.Name, r.URI, r.Encrypted)
	if err == nil || target == VPC {
		return err
	}
	switch ext := strings.ToLower(path.Ext(r.URI)); {
	case ext == ".raw" && !r.Encrypted:
		err = rest.WithHint(err, ".raw is for encrypted images (LUKS): give --envelope")
	case ext == ".qcow2":
		err = rest.WithHint(err, "qcow2 images are for VPC: give --target vpc")
	}
	return err
}

// checkNames checks the names of an image and its object.
func checkNames(target, name, uri string, encrypted bool) (err error) {
	if target != VPC {
		return softlayer.CheckObject(uri, encrypted)
	}
	if err = vpc.CheckImageName(name); err != nil {
		return fmt.Errorf("--name: %w", err)
	}
	return vpc.CheckObject(uri, encrypted)
}

// A Server describes a server to order.
type Server struct {
	Hostname string
	Domain   string   // classic only
	SSHKeys  []string // keys of the account: numbers, or IDs in VPC
	UserData string   // for cloud-init

	// Classic infrastructure.
	CPUs       int    // cores
	MemoryMB   int    // 1024 for 1 GB
	Datacenter string // "dal13"
	Billing    string // "hourly" (the default) or "monthly"
	Disk       string // "san" (the default) or "local" for disks of the host

	// VPC.
	Zone       string // "us-south-1"
	Profile    string // "bx2-2x8"
	VPC        string // its ID
	Subnet     string // its ID
	BootKeyCRN string // the root key of the boot volume; "" means that of the image
}

// name returns the name of the server.
func (s *Server) name() string { return strings.TrimSuffix(s.Hostname+"."+s.Domain, ".") }

// Check returns an error unless the fields required by the target are set and valid.
func (s *Server) Check(target string) (err error) {
	if target == VPC {
		_, err = s.vpc()
	} else {
		_, err = s.classic()
	}
	return err
}

// classic returns the order for classic infrastructure, without the template.
func (s *Server) classic() (r softlayer.OrderRequest, err error) {
	switch {
	case s.Billing != "" && s.Billing != "hourly" && s.Billing != "monthly":
		return r, fmt.Errorf("--billing %s: want hourly or monthly", s.Billing)
	case s.Disk != "" && s.Disk != "san" && s.Disk != "local":
		return r, fmt.Errorf("--disk %s: want san or local", s.Disk)
	case s.Hostname == "" || s.Domain == "" || s.CPUs <= 0 || s.MemoryMB <= 0 || s.Datacenter == "":
		return r, rest.WithHint(errors.New("a server needs --hostname, --domain, --cpu, --memory and --datacenter"),
			"for example: --hostname web1 --domain example.com --cpu 2 --memory 4096 --datacenter dal13")
	}
	if err := softlayer.CheckHost(s.Hostname, s.Domain); err != nil {
		return r, fmt.Errorf("--hostname and --domain: %w", err)
	}
	r = softlayer.OrderRequest{
		Hostname: s.Hostname, Domain: s.Domain, CPUs: s.CPUs, MemoryMB: s.MemoryMB, Datacenter: s.Datacenter,
		Monthly: s.Billing == "monthly", LocalDisk: s.Disk == "local", UserData: s.UserData,
	}
	for _, k := range s.SSHKeys {
		n, err := strconv.Atoi(k)
		if err != nil {
			return r, fmt.Errorf("--ssh-key %s: want a key number", k)
		}
		r.SSHKeys = append(r.SSHKeys, n)
	}
	return r, nil
}

// vpc returns the order for VPC, without the image.
func (s *Server) vpc() (r vpc.InstanceRequest, err error) {
	if s.Hostname == "" || s.Zone == "" || s.Profile == "" || s.VPC == "" || s.Subnet == "" {
		return r, errors.New("a server in VPC needs --hostname, --zone, --vpc-profile, --vpc and --subnet")
	}
	if err := vpc.CheckName(s.Hostname); err != nil {
		return r, fmt.Errorf("--hostname: %w", err)
	}
	return vpc.InstanceRequest{
		Name: s.Hostname, Zone: s.Zone, Profile: s.Profile, VPC: s.VPC, Subnet: s.Subnet,
		SSHKeys: s.SSHKeys, UserData: s.UserData, BootKeyCRN: s.BootKeyCRN,
	}, nil
}
