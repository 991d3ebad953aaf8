package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/deploy"
	"github.com/luksimg/luksimg/ibm/softlayer"
)

// addImage adds the flags of the new image, with the names of slcli image import.
func addImage(c *cobra.Command, r *deploy.ImageRequest) {
	f := c.Flags()
	f.StringVar(&r.Name, "name", "", "the name of the image (default: that of the object)")
	f.StringVar(&r.Note, "note", "", "a note for the template")
	f.StringVar(&r.OSCode, "os-code", "", "the operating system: a `CODE` from import --list-os-codes")
	f.BoolVar(&r.CloudInit, "cloud-init", false, "the image has cloud-init, which an encrypted one needs")
	f.BoolVar(&r.BYOL, "byol", false, "bring your own license, which an encrypted Red Hat image needs")
}

type importFlags struct {
	*global
	image    deploy.ImageRequest
	call     callFlags
	handover handoverFlags
	target   string
	region   string
	envelope string
	list     bool
}

func newImport(g *global) *cobra.Command {
	o := &importFlags{global: g}
	c := &cobra.Command{
		Use:   "import OBJECT",
		Short: "Import an encrypted image from Object Storage",
		Long: `Import has IBM Cloud import the image at cos://REGION/BUCKET/OBJECT: classic infrastructure (SoftLayer)
makes a template of it, VPC (--target vpc) a custom image. Import waits until servers can be ordered
from it.

An encrypted image needs its data key, wrapped by a root key. --envelope names the file that wrap made,
or --wrapped-dek and --root-key-crn give both. The cloud also gets an API key that can read the object
and use the root key; see --ibm-api-key-file.

If the reply to an import is lost, luksimg checks whether it took effect, for as long as --settle
says, before it retries. With the same --name and --note, import finds the template of an earlier run.` + cloudHelp + `
SL_USERNAME and SL_API_KEY hold the credentials for classic infrastructure.`,
		Example: `  luksimg import --envelope disk.envelope.json --os-code UBUNTU_22_64 --cloud-init cos://us-south/images/disk.raw
  luksimg import --target vpc --envelope disk.envelope.json --os-code ubuntu-22-04-amd64 cos://us-south/images/disk.qcow2
  luksimg import --list-os-codes
  luksimg import --list-os-codes --target vpc --region us-south`,
		Args: flags.InPlace("list-os-codes", "OBJECT"),
		RunE: func(c *cobra.Command, args []string) error {
			if o.list && o.target == deploy.VPC {
				return o.listSystems(c)
			}
			if o.list {
				return o.listCodes(c)
			}
			return o.run(c, args[0])
		},
	}
	addImage(c, &o.image)
	f := c.Flags()
	f.StringVar(&o.target, "target", deploy.Classic, "the cloud to import into: classic or vpc")
	f.StringVar(&o.region, "region", "", "the VPC region (default: that of the object)")
	f.StringVar(&o.envelope, "envelope", "", "`FILE` with the wrapped data key, as wrap makes it")
	f.StringVar(&o.image.WrappedDEK, "wrapped-dek", "", "the wrapped data key (`TEXT`), which is no secret")
	f.StringVar(&o.image.RootKeyCRN, "root-key-crn", "", "the `CRN` of the root key that wrapped it (default: $"+envRootKey+")")
	f.BoolVar(&o.image.Encrypted, "is-encrypted", false, "the image is encrypted (implied by a wrapped data key)")
	f.BoolVar(&o.list, "list-os-codes", false, "list the values of --os-code; for VPC, add --target vpc and --region")
	o.handover.add(c)
	o.call.add(c)
	o.cloud.addSettle(c)
	o.cloud.add(c, serviceSoftLayer, serviceVPC)
	return c
}

func (o *importFlags) run(c *cobra.Command, uri string) error {
	ctx := c.Context()
	o.image.URI = uri
	if err := errors.Join(checkWait(o.call.Wait), deploy.CheckTarget(o.target), flags.AtMostOne(c, "envelope", "wrapped-dek"), flags.AtMostOne(c, "envelope", "root-key-crn")); err != nil {
		return err
	}
	if o.envelope != "" {
		e, err := readEnvelope(ctx, o.envelope)
		if err != nil {
			return err
		}
		if err := o.image.TakeKey(e); err != nil {
			return fmt.Errorf("%s: %w", o.envelope, err)
		}
	}
	if o.image.WrappedDEK != "" {
		o.image.RootKeyCRN = cmp.Or(o.image.RootKeyCRN, os.Getenv(envRootKey))
	}
	r, err := o.image.Complete()
	if err == nil {
		err = r.Check(o.target)
	}
	if err != nil {
		return err
	}
	if o.region == "" {
		at, _ := cos.ParseURI(r.URI)
		o.region = at.Region
	}
	return o.call.run(o.global, func(opts deploy.CallOptions) (fmt.Stringer, error) {
		d, err := o.cloud.driver(ctx, o.target, o.region, &o.handover, opts.Log)
		if err != nil {
			return nil, err
		}
		return deploy.ImportImage(ctx, d, r, opts)
	})
}

// printCodes prints the operating systems that an imported image can have.
func (o *importFlags) printCodes(codes []softlayer.OSCode) error {
	var lines []string
	for _, code := range codes {
		lines = append(lines, talk.Line("%-24s %s", code.Code, code.Description))
	}
	return o.Result(struct {
		Codes []softlayer.OSCode `json:"os_codes"`
	}{codes}, strings.Join(lines, "\n"))
}

// listSystems lists the operating systems of VPC.
func (o *importFlags) listSystems(c *cobra.Command) error {
	cl, err := o.cloud.vpcClient(c.Context(), o.region)
	if err != nil {
		return err
	}
	all, err := cl.OperatingSystems(c.Context())
	if err != nil {
		return err
	}
	var codes []softlayer.OSCode
	for _, s := range all {
		if s.Importable {
			codes = append(codes, softlayer.OSCode{Code: s.Name, Description: s.DisplayName})
		}
	}
	return o.printCodes(codes)
}

// listCodes lists the operating systems of classic infrastructure.
func (o *importFlags) listCodes(c *cobra.Command) error {
	cl, err := o.cloud.classicClient(c.Context())
	if err != nil {
		return err
	}
	codes, err := cl.OSCodes(c.Context())
	if err != nil {
		return err
	}
	return o.printCodes(codes)
}
