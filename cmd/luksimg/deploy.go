package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/deploy"
	"github.com/luksimg/luksimg/image/web"
)

type deployFlags struct {
	*global
	deploy.Options
	image    deploy.ImageRequest
	source   sourceFlags
	handover handoverFlags
	server   serverFlags
	audit    auditFlags
	progress talk.Progress
	keyFile  string
	state    string
	order    bool
	job      string
}

func newDeploy(g *global) *cobra.Command {
	o := &deployFlags{global: g}
	c := &cobra.Command{
		Use:   "deploy [SRC]",
		Short: "Encrypt, upload and import an image, and order a server, with one resumable command",
		Long: `Deploy brings the disk image SRC to IBM Cloud, encrypted, so that servers can run from it: in classic
infrastructure (SoftLayer), or with --profile vpc-qcow2 in VPC. It makes a data key, wraps it with
the root key, and checks that it unwraps. Then it encrypts the image, uploads and imports it. With --order
it orders a server, which costs money.

Deploy records each step in a file, NAME.deploy.json. If the run ends early, run the same command
again to resume: it creates nothing twice. If that is all that is needed, the exit code is
5. If the reply to an import or an order is lost, deploy checks whether it took effect, for as
long as --settle says, before it retries. A finished deployment only reports its result when it is
run again.

The data key is stored only in wrapped form, in the envelope NAME.envelope.json, which opens
nothing without the root key. --keep-key writes the data key to a file.` + cloudHelp + `

Deploy first checks for the authorizations that setup creates. --skip-authorization-check skips
this check, for an API key that cannot list them.

Deploy checks the disk before it makes a key. The disk must not be larger than the cloud accepts, and
must have a boot signature and, if luksimg can read its filesystem, cloud-init. Deploy stops if SRC
has changed since the deployment began, unless --changed-source says what to do. It compares the size and
the modification time of a file, and the ETag of an object.

--profile classic-luks, the default, is the format of SoftLayer's end-to-end encryption, a raw
LUKS1 file. classic-vhd is the encrypted VHD that IBM has documented for the same cloud since
2019. vpc-qcow2 is for VPC.

--job JOB, in place of SRC, continues with an image that shard finish made in Object Storage. The profile, the
object and the root key are those of the job. Deploy then encrypts and uploads nothing.

SL_USERNAME and SL_API_KEY hold the credentials for classic infrastructure. luksimg setup creates what deploy
needs: root key, bucket, authorization, and an API key for --ibm-api-key-file.`,
		Example: `  luksimg deploy --name web --os-code UBUNTU_22_64 --root-key-crn CRN --object cos://us-south/images/ disk.vhd
  luksimg deploy --name web --os-code UBUNTU_22_64 --root-key-crn CRN --object cos://us-south/images/web.raw \
    --order --hostname web1 --domain example.com --cpu 2 --memory 4096 --datacenter dal13 disk.vhd
  luksimg deploy --profile vpc-qcow2 --name web --os-code ubuntu-22-04-amd64 --root-key-crn CRN --object cos://us-south/images/ disk.vhd`,
		Args: flags.InPlace("job", "SRC"),
		RunE: func(c *cobra.Command, args []string) error {
			src := ""
			if len(args) > 0 {
				src = args[0]
			}
			return o.run(c, src)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Plan.Profile, "profile", string(luksimg.ClassicLUKS), "what to make: classic-luks, classic-vhd or vpc-qcow2")
	f.StringVar(&o.Plan.Object, "object", "", "where to upload: cos://REGION/BUCKET/OBJECT; with a slash at the end, NAME.raw, NAME.vhd-0.vhd or NAME.qcow2 is added")
	f.StringVar(&o.Plan.RootKeyCRN, "root-key-crn", "", "the `CRN` of the root key (default: $"+envRootKey+")")
	addImage(c, &o.image)
	f.Lookup("name").Usage = "the name of the template (default: that of SRC)"
	f.Lookup("cloud-init").DefValue, o.image.CloudInit = "true", true
	f.StringVar(&o.Plan.Envelope, "envelope", "", "`FILE` for the wrapped data key (default: NAME.envelope.json)")
	f.StringVar(&o.Plan.Image, "image", "", "`FILE` for the encrypted image, which is removed after the import (default: NAME.encrypted.raw, .vhd or .qcow2)")
	f.BoolVar(&o.KeepImage, "keep-image", false, "keep the encrypted image on this machine too")
	f.StringVar(&o.keyFile, "key-file", "", "`FILE` with a data key made by keygen (default: a new key)")
	f.StringVar(&o.KeepKey, "keep-key", "", "write the new data key to `FILE`, which must not exist")
	f.StringVar(&o.state, "state", "", "`FILE` for the state of the deployment (default: NAME.deploy.json)")
	f.StringVar(&o.job, "job", "", "continue from the image that luksimg shard finish made of this `JOB`, in place of SRC")
	f.BoolVar(&o.order, "order", false, "order a server too, which costs money")
	f.StringVar((*string)(&o.Changed), "changed-source", string(deploy.Refuse), "what to do if SRC has changed since the deployment began: refuse, encrypt it again, or keep the existing image")
	f.BoolVar(&o.AnyDisk, "any-disk", false, "accept a disk without boot signature or cloud-init")
	f.BoolVar(&o.SkipAuthorizationCheck, "skip-authorization-check", false, "do not check the authorizations between the cloud's services")
	(*flags.Jobs)(&o.Jobs).Add(c)
	o.server.add(c)
	o.source.addSecond(c)
	o.source.unpack.random = true // deploy looks at the content of the disk first
	g.kdf.add(c)
	o.handover.add(c)
	addWait(c, &o.Wait)
	g.web.add(c)
	o.cloud.addSettle(c)
	o.cloud.add(c, serviceKMS, serviceCOS, serviceSoftLayer, serviceVPC)
	o.audit.add(c)
	o.progress.Add(c)
	return c
}

// stateStore returns the store of a deployment's state. Tests replace it to see each saved state.
var stateStore = func(f cos.StateFile) cos.StateStore { return f }

// complete sets the plan and the options of the deployment from the flags.
func (o *deployFlags) complete(c *cobra.Command, src string) (err error) {
	p := &o.Plan
	if o.job == "" {
		p.RootKeyCRN = cmp.Or(p.RootKeyCRN, os.Getenv(envRootKey))
	}
	var finished *deploy.Source
	if o.job != "" {
		if src, finished, err = o.finished(c); err != nil {
			return err
		}
	}
	p.Source, p.Name, p.Note, p.OSCode, p.BYOL = shown(src), o.image.Name, o.image.Note, o.image.OSCode, o.image.BYOL
	if base := web.Base(src); web.Is(src) && p.Name == "" {
		p.Name = strings.TrimSuffix(base, path.Ext(base))
	}
	if *p, err = p.Complete(); err != nil {
		return err
	}
	if o.state == "" {
		o.state = p.Name + ".deploy.json"
	}
	o.State, o.Upload, o.Files = stateStore(cos.StateFile(o.state)), cos.StateFile(o.state+".upload"), deploy.Local{}
	o.Source, o.Tool, o.Settle, o.Event = o.disk(c, src), toolName(), o.cloud.settle, o.event
	if finished != nil {
		o.Source = *finished
	}
	o.Progress = func(phase string, total int64) (func(int64), func()) {
		if phase == "encrypt" {
			flags.SpareProcessor()
		}
		return o.begin(&o.progress, phase, total)
	}
	if o.keyFile != "" {
		o.Key = func(ctx context.Context) ([]byte, error) { return keys.ReadFile(ctx, o.keyFile) }
	}
	if o.order {
		o.Order, err = o.server.read(c.Context(), p.Target())
	}
	return err
}

// disk returns SRC as the source of a deployment.
func (o *deployFlags) disk(c *cobra.Command, src string) deploy.Source {
	return deploy.Source{
		Name: shown(src),
		Stat: func(ctx context.Context) (deploy.Stamp, error) {
			in, err := openInput(ctx, o.global, src)
			if err != nil {
				return deploy.Stamp{}, err
			}
			defer in.close()
			stamp := deploy.Stamp{Size: in.size, Time: in.mtime, ETag: in.etag}
			if o.source.sum.given() {
				want, err := o.source.sum.sum(ctx, o.global, in.base)
				if err != nil {
					return stamp, err
				}
				stamp.Checksum = want.String()
			}
			return stamp, nil
		},
		Open: func(ctx context.Context) (*deploy.Disk, error) {
			s, err := o.source.open(c, o.global, src)
			if err != nil {
				return nil, err
			}
			label := func(r *luksimg.Result) { (&diskSource{source: s}).label(&o.Talk, r) }
			return &deploy.Disk{Image: s.img, Unchanged: func() error { return s.intact(ctx) }, Encrypted: label, Close: s.close}, nil
		},
	}
}

func (o *deployFlags) run(c *cobra.Command, src string) error {
	ctx := c.Context()
	err := o.complete(c, src)
	if !o.image.CloudInit {
		err = errors.Join(err, errors.New("an encrypted image needs cloud-init: --cloud-init=false is not possible"))
	}
	if o.cloud.settle <= 0 {
		err = errors.Join(err, errors.New("--settle must be more than zero"))
	}
	if err := errors.Join(err, checkWait(o.Wait), o.progress.Check(), o.source.check(c), flags.AtMostOne(c, "key-file", "keep-key")); err != nil {
		return err
	}
	if err := errors.Join(o.Check(), o.claim()); err != nil {
		return err
	}
	unlock, err := deploy.Local{}.Lock(o.state)
	if err != nil {
		return err
	}
	defer unlock()
	d, err := deploy.Begin(ctx, o.Options)
	if err != nil {
		return err
	}
	log, err := o.audit.open(d.ID)
	if err != nil {
		return err
	}
	defer log.Close()
	clients, err := o.cloud.clients(ctx, d, &o.handover, log)
	if err != nil {
		return err
	}
	r, err := d.Run(ctx, clients)
	if err != nil {
		return err
	}
	r.State, r.Warnings = o.state, o.Warnings
	return o.Result(r, talk.Lines(r.Lines()))
}

// claim registers the files whose names no flag gave.
func (o *deployFlags) claim() error {
	return errors.Join(
		o.files.Write("--state", o.state), o.files.Write("the lock of --state", o.state+".lock"), o.files.Write("the state of the upload", o.state+".upload"),
		o.files.Write("--envelope", o.Plan.Envelope), o.files.Write("--image", o.Plan.Image),
	)
}
