package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/audit"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
)

// templateFlags describe the image to be, by the names of slcli image import.
type templateFlags struct {
	name      string
	note      string
	osCode    string
	cloudInit bool
	byol      bool
}

func (o *templateFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.name, "name", "", "the name of the image (default: that of the object)")
	f.StringVar(&o.note, "note", "", "a note for the template")
	f.StringVar(&o.osCode, "os-code", "", "the operating system: `CODE` as import --list-os-codes has it, or a name of VPC")
	f.BoolVar(&o.cloudInit, "cloud-init", false, "the image has cloud-init, as an encrypted one must")
	f.BoolVar(&o.byol, "byol", false, "the license of the operating system is yours, as that of an encrypted Red Hat image must be")
}

type importFlags struct {
	*global
	template  templateFlags
	handover  handoverFlags
	wait      waitFlags
	audit     auditFlags
	target    string
	region    string
	envelope  string
	wdek      string
	rootKey   string
	encrypted bool
	list      bool
}

func newImport(g *global) *cobra.Command {
	o := &importFlags{global: g}
	c := &cobra.Command{
		Use:   "import OBJECT",
		Short: "Make an image template of an encrypted image in Object Storage",
		Long: `Import hands the image at cos://REGION/BUCKET/OBJECT over to IBM Cloud: to classic
infrastructure (SoftLayer), which makes a template of it, or with --target vpc to VPC, which
makes a custom image. It waits until servers can be ordered from it.

An encrypted image needs its data key, wrapped by a root key: --envelope names the file
that wrap made, or --wrapped-dek and --root-key-crn give both. It goes to the cloud with
an API key that can read the object and use the root key; see --ibm-api-key-file.

If the answer to a call that makes something is lost, the image is looked for, as long as
--settle says, before the call is sent again.
The same --name and --note find the template of an earlier run.` + cloudHelp + `
SL_USERNAME and SL_API_KEY are those of classic infrastructure.`,
		Example: `  luksimg import --envelope disk.envelope.json --os-code UBUNTU_22_64 --cloud-init cos://us-south/images/disk.raw
  luksimg import --target vpc --envelope disk.envelope.json --os-code ubuntu-22-04-amd64 cos://us-south/images/disk.qcow2
  luksimg import --list-os-codes`,
		Args: func(c *cobra.Command, got []string) error {
			if o.list {
				return flags.Args()(c, got)
			}
			return flags.Args("OBJECT")(c, got)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if o.list {
				return o.listCodes(c)
			}
			return o.run(c, args[0])
		},
	}
	o.template.add(c)
	f := c.Flags()
	f.StringVar(&o.target, "target", targetClassic, "where to: classic or vpc")
	f.StringVar(&o.region, "region", "", "the region of VPC (default: that of the object)")
	f.StringVar(&o.envelope, "envelope", "", "`FILE` with the wrapped data key, as wrap makes it")
	f.StringVar(&o.wdek, "wrapped-dek", "", "the wrapped data key `TEXT`, which is no secret")
	f.StringVar(&o.rootKey, "root-key-crn", "", "the `CRN` of the root key that wrapped it")
	f.BoolVar(&o.encrypted, "is-encrypted", false, "the image is encrypted: implied by a wrapped data key")
	f.BoolVar(&o.list, "list-os-codes", false, "list the codes for --os-code of classic infrastructure, and end")
	o.handover.add(c)
	o.wait.add(c, true)
	o.cloud.addSettle(c)
	o.cloud.add(c, serviceSoftLayer, serviceVPC)
	o.audit.add(c)
	return c
}

// importResult is what import --json prints.
type importResult struct {
	Target   string              `json:"target"`
	Object   string              `json:"object"`
	Ready    bool                `json:"ready"` // servers can be ordered from it
	Template *softlayer.Template `json:"template,omitempty"`
	Image    *vpc.Image          `json:"image,omitempty"`
}

func (o *importFlags) run(c *cobra.Command, uri string) error {
	ctx, t := c.Context(), &o.Talk
	object, err := cos.ParseURI(uri)
	if err != nil {
		return rest.WithHint(err, "the object is cos://REGION/BUCKET/OBJECT")
	}
	if err := errors.Join(o.wait.check(), checkTarget(o.target), flags.AtMostOne(c, "envelope", "wrapped-dek"), flags.AtMostOne(c, "envelope", "root-key-crn")); err != nil {
		return err
	}
	if err := o.readEnvelope(ctx, object); err != nil {
		return err
	}
	if o.encrypted && (o.wdek == "" || o.rootKey == "") {
		return rest.WithHint(errors.New("an encrypted image needs its wrapped data key and the root key"), "give --envelope FILE, or --wrapped-dek and --root-key-crn")
	}
	if o.template.name == "" {
		o.template.name = strings.TrimSuffix(path.Base(object.Key), path.Ext(object.Key))
	}
	log, err := o.audit.open("")
	if err != nil {
		return err
	}
	defer log.close()
	if o.target == targetVPC {
		return o.vpc(ctx, t, object, log)
	}
	return o.classic(ctx, t, object, log)
}

// conventions are the key conventions of images, by the extension that the importer tells
// their kind by.
var conventions = map[string]wrap.Convention{".raw": wrap.ClassicLUKS, ".vhd": wrap.ClassicVHD, ".qcow2": wrap.VPCQCOW2}

// readEnvelope takes the wrapped key from the envelope, and compares its convention with
// the kind of the image.
func (o *importFlags) readEnvelope(ctx context.Context, object cos.Object) error {
	o.encrypted = o.encrypted || o.envelope != "" || o.wdek != "" || o.rootKey != ""
	if o.envelope == "" {
		return nil
	}
	e, err := readEnvelope(ctx, o.envelope)
	if err != nil {
		return err
	}
	if e.RootKeyCRN == "" {
		return rest.WithHint(fmt.Errorf("%s: the root key of the envelope is %s, which the cloud does not have", o.envelope, e.KMS),
			"wrap the key again with a root key in Key Protect: luksimg rewrap")
	}
	want := conventions[strings.ToLower(path.Ext(object.Key))]
	if want != "" && e.Convention != want {
		return rest.WithHint(fmt.Errorf("%s: the key follows the convention %q, and %s is taken for an image of %s by its name: it would import and never start",
			o.envelope, e.Convention, object.Key, want), "encrypt the image with --profile "+string(want)+", and wrap that key with the same convention")
	}
	o.wdek, o.rootKey = e.WDEK, e.RootKeyCRN
	return nil
}

func (o *importFlags) classic(ctx context.Context, t *talk.Talk, object cos.Object, log *auditLog) error {
	cl, err := o.cloud.classicClient(ctx)
	if err != nil {
		return err
	}
	key, err := o.handover.read(ctx)
	if err != nil {
		return err
	}
	defer clear(key)
	log.AddSecret(key)
	made, err := cl.Import(ctx, softlayer.ImportRequest{
		Name: o.template.name, Note: o.template.note, OSCode: o.template.osCode, URI: object.String(), APIKey: string(key),
		RootKeyCRN: o.rootKey, WrappedDEK: o.wdek, CloudInit: o.template.cloudInit, BYOL: o.template.byol, Encrypted: o.encrypted,
	})
	target := o.template.name
	if made != nil {
		target = made.GlobalIdentifier
	}
	if err := log.Did(audit.ActionImport, target, map[string]any{"uri": object.String(), "crkCrn": o.rootKey, "name": o.template.name}, err); err != nil {
		return err
	}
	t.Say("import: template %d was accepted", made.ID)
	if !o.wait.noWait {
		if made, err = cl.WaitImport(ctx, made.ID, o.wait.options(t, "import")); err != nil {
			return err
		}
	}
	return t.Result(importResult{Target: o.target, Object: object.String(), Ready: made.Ready(), Template: made},
		talk.Line("template %d, %s, global identifier %s", made.ID, made.Name, made.GlobalIdentifier))
}

func (o *importFlags) vpc(ctx context.Context, t *talk.Talk, object cos.Object, log *auditLog) error {
	if o.region == "" {
		o.region = object.Region
	}
	cl, err := o.cloud.vpcClient(ctx, o.region)
	if err != nil {
		return err
	}
	img, err := cl.CreateImage(ctx, vpc.ImageRequest{
		Name: o.template.name, URI: object.String(), OperatingSystem: o.template.osCode, RootKeyCRN: o.rootKey, WrappedDEK: o.wdek,
	})
	target := o.template.name
	if img != nil {
		target = img.ID
	}
	if err := log.Did(audit.ActionImport, target, map[string]any{"uri": object.String(), "crkCrn": o.rootKey, "name": o.template.name}, err); err != nil {
		return err
	}
	t.Say("import: image %s was accepted", img.ID)
	if !o.wait.noWait {
		if img, err = cl.WaitImage(ctx, img.ID, o.wait.options(t, "import")); err != nil {
			return err
		}
	}
	return t.Result(importResult{Target: o.target, Object: object.String(), Ready: img.Status == "available", Image: img},
		talk.Line("image %s, %s", img.ID, img.Name))
}

// listCodes prints the operating systems that can be imported.
func (o *importFlags) listCodes(c *cobra.Command) error {
	cl, err := o.cloud.classicClient(c.Context())
	if err != nil {
		return err
	}
	codes, err := cl.OSCodes(c.Context())
	if err != nil {
		return err
	}
	var lines []string
	for _, code := range codes {
		lines = append(lines, talk.Line("%-24s %s", code.Code, code.Description))
	}
	return o.Result(struct {
		Codes []softlayer.OSCode `json:"os_codes"`
	}{codes}, strings.Join(lines, "\n"))
}
