package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/deploy"
	"github.com/luksimg/luksimg/ibm/softlayer"
	"github.com/luksimg/luksimg/ibm/vpc"
	"github.com/luksimg/luksimg/wrap/keyprotect"
)

type deployFlags struct {
	*global
	source   sourceFlags
	template templateFlags
	handover handoverFlags
	server   serverFlags
	place    vpcFlags
	wait     waitFlags
	audit    auditFlags
	progress talk.Progress

	profile   string
	object    string
	rootKey   string
	envelope  string
	image     string
	keepImage bool
	keyFile   string
	keepKey   string
	state     string
	order     bool
	changed   string
	anyDisk   bool
	jobs      flags.Jobs
}

func newDeploy(g *global) *cobra.Command {
	o := &deployFlags{global: g}
	c := &cobra.Command{
		Use:   "deploy SRC",
		Short: "Encrypt an image, upload and import it, and order a server: one command, which can be continued",
		Long: `Deploy does all that it takes to run servers in classic infrastructure (SoftLayer), or with
--profile vpc-qcow2 in VPC, from the disk image SRC, encrypted: it makes a data key, has it
wrapped by the root key and checks that it unwraps, encrypts the image, uploads it, has a
template made of it, and with --order orders a server from that, which costs money.

What is done is written to a file, NAME.deploy.json. If the run ends early, for whatever
reason, the same command goes on where it stopped: nothing is made twice. The exit code is 5
then if it may simply be run again. If it is interrupted while the answer to an import or an
order is under way, what that made is looked for, for as long as --settle says, before it is
sent again. A finished deployment does nothing when it is run again, but tell the result.

The data key is on no disk, but wrapped in the envelope, NAME.envelope.json; without the
root key that opens nothing. --keep-key writes it to a file.` + cloudHelp + `

The disk is looked at before a key is made: it must not be larger than the cloud takes, must
have a boot signature and, if that can be told, cloud-init. If SRC is not what it was when
the deployment began, by its size, its time or, of an object, its ETag, that is an error, until
--changed-source says what to do.

--profile classic-luks, the default, is the format of SoftLayer's end-to-end encryption, a raw
LUKS1 file. classic-vhd is the encrypted VHD that IBM has documented for the same cloud since
2019. vpc-qcow2 is for VPC.

SL_USERNAME and SL_API_KEY are those of classic infrastructure. luksimg setup makes what must
be there: root key, bucket, authorization, and a key for --ibm-api-key-file.`,
		Example: `  luksimg deploy --name web --os-code UBUNTU_22_64 --root-key-crn CRN --object cos://us-south/images/ disk.vhd
  luksimg deploy --name web --os-code UBUNTU_22_64 --root-key-crn CRN --object cos://us-south/images/web.raw \
    --order --hostname web1 --domain example.com --cpu 2 --memory 4096 --datacenter dal13 disk.vhd
  luksimg deploy --profile vpc-qcow2 --name web --os-code ubuntu-22-04-amd64 --root-key-crn CRN --object cos://us-south/images/ disk.vhd`,
		Args: flags.Args("SRC"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0]) },
	}
	f := c.Flags()
	f.StringVar(&o.profile, "profile", string(luksimg.ClassicLUKS), "what the image is to be: classic-luks, classic-vhd or vpc-qcow2")
	f.StringVar(&o.object, "object", "", "where to upload the image: cos://REGION/BUCKET/OBJECT, or with a slash at the end, for NAME.raw, NAME.vhd-0.vhd or NAME.qcow2 in there")
	f.StringVar(&o.rootKey, "root-key-crn", "", "the `CRN` of the root key")
	o.template.add(c)
	f.Lookup("name").Usage = "the name of the template (default: that of SRC)"
	f.Lookup("cloud-init").DefValue, o.template.cloudInit = "true", true
	f.StringVar(&o.envelope, "envelope", "", "`FILE` for the wrapped data key (default: NAME.envelope.json)")
	f.StringVar(&o.image, "image", "", "`FILE` for the encrypted image, which is removed when it was imported (default: NAME.encrypted.raw, .vhd or .qcow2)")
	f.BoolVar(&o.keepImage, "keep-image", false, "keep the encrypted image here too")
	f.StringVar(&o.keyFile, "key-file", "", "`FILE` with a data key to use, as keygen makes it, rather than a new one")
	f.StringVar(&o.keepKey, "keep-key", "", "write the new data key to `FILE`, which must not exist")
	f.StringVar(&o.state, "state", "", "`FILE` for what was done (default: NAME.deploy.json)")
	f.BoolVar(&o.order, "order", false, "order a server too: this costs money")
	f.StringVar(&o.changed, "changed-source", string(deploy.Refuse), "what to do if SRC has changed since the deployment began: refuse, encrypt it anew, or keep the image that was made of it")
	f.BoolVar(&o.anyDisk, "any-disk", false, "go on with a disk that has no boot signature or no cloud-init")
	o.jobs.Add(c)
	o.server.add(c)
	o.place.add(c)
	o.source.addSecond(c, "SRC")
	g.kdf.add(c)
	o.handover.add(c)
	o.wait.add(c, false)
	o.cloud.addSettle(c)
	o.cloud.add(c, serviceKMS, serviceCOS, serviceSoftLayer, serviceVPC)
	o.audit.add(c)
	o.progress.Add(c)
	return c
}

// options returns what the flags ask for.
func (o *deployFlags) options(c *cobra.Command, t *talk.Talk, src string) (opts deploy.Options, err error) {
	name := src
	if !isCOS(src) {
		if name, err = filepath.Abs(src); err != nil {
			return opts, err
		}
	}
	plan, err := deploy.Plan{
		Source: name, Profile: o.profile, Image: o.image, Envelope: o.envelope, Object: o.object, RootKeyCRN: o.rootKey,
		Name: o.template.name, Note: o.template.note, OSCode: o.template.osCode, BYOL: o.template.byol,
	}.Complete()
	if err != nil {
		return opts, err
	}
	if o.state == "" {
		o.state = plan.Name + ".deploy.json"
	}
	opts = deploy.Options{
		Plan: plan, Source: o.disk(c, t, src), State: stateStore(cos.StateFile(o.state)), Upload: cos.StateFile(o.state + ".upload"), Files: deploy.Local{},
		KeepKey: o.keepKey, KeepImage: o.keepImage, AnyDisk: o.anyDisk, Changed: deploy.Changed(o.changed), Jobs: int(o.jobs), Tool: toolName(),
		Settle: o.cloud.settle,
		Wait:   func(what string) softlayer.WaitOptions { return o.wait.options(t, what) },
		Event: func(e deploy.Event) {
			if e.Warning {
				t.Warn("%s", e.Text)
			} else {
				t.Say("%s", e.Text)
			}
		},
		Progress: func(phase string, total int64) (func(int64), func()) {
			if phase == "encrypt" {
				flags.SpareProcessor()
			}
			p, err := o.progress.Start(t, phase, total)
			if err != nil { // the flag was checked
				return nil, func() {}
			}
			return p.Add, p.Done
		},
	}
	if o.keyFile != "" {
		opts.Key = func(ctx context.Context) ([]byte, error) { return keys.ReadFile(ctx, o.keyFile) }
	}
	if o.order {
		opts.Order = &deploy.Server{Hostname: o.server.hostname}
		if plan.Target() == targetClassic {
			opts.Order.Domain = o.server.domain
		}
	}
	return opts, nil
}

// stateStore is where the state is kept, in a file of that name; tests look at what is saved.
var stateStore = func(f cos.StateFile) cos.StateStore { return f }

// disk is SRC, which the flags say how to read.
func (o *deployFlags) disk(c *cobra.Command, t *talk.Talk, src string) deploy.Source {
	return deploy.Source{
		Name: src,
		Stat: func(ctx context.Context) (deploy.Stamp, error) {
			in, err := openInput(ctx, o.global, src)
			if err != nil {
				return deploy.Stamp{}, err
			}
			defer in.close()
			return deploy.Stamp{Size: in.size, Time: in.mtime, ETag: in.etag}, nil
		},
		Open: func(context.Context) (*deploy.Disk, error) {
			s, err := o.source.open(c, o.global, src)
			if err != nil {
				return nil, err
			}
			label := func(r *luksimg.Result) { (&diskSource{source: s}).label(t, r) }
			return &deploy.Disk{Image: s.img, Unchanged: s.unchanged, Encrypted: label, Close: s.close}, nil
		},
	}
}

// clients returns the clients of a deployment. It sends nothing.
func (o *deployFlags) clients(ctx context.Context, d *deploy.Deployment, log *auditLog) (cl deploy.Clients, err error) {
	cl.Log = log.Logger
	if cl.Identity, err = o.cloud.iam(ctx); err != nil {
		return cl, err
	}
	// The correlation is in the events of the key service too.
	cl.RootKey, err = keyprotect.New(keyprotect.Options{
		CRN: d.Plan.RootKeyCRN, Tokens: cl.Identity, URL: o.cloud.url(serviceKMS), Private: o.cloud.private, CorrelationID: d.ID,
	})
	if err != nil {
		return cl, err
	}
	if cl.Store, err = o.cloud.cos(ctx, ""); err != nil {
		return cl, err
	}
	cl.Cloud, err = o.driver(ctx, d.Plan, log)
	return cl, err
}

// driver returns the cloud that the plan is for, with the server that the flags say.
func (o *deployFlags) driver(ctx context.Context, plan deploy.Plan, log *auditLog) (deploy.Driver, error) {
	if plan.Target() == targetVPC {
		var order vpc.InstanceRequest
		object, err := cos.ParseURI(plan.Object)
		if err == nil && o.order {
			order, err = o.place.request(ctx, &o.server)
		}
		if err != nil {
			return nil, err
		}
		client, err := o.cloud.vpcClient(ctx, object.Region)
		return deploy.NewVPC(client, order), err
	}
	var order softlayer.OrderRequest
	var err error
	if o.order {
		if order, err = o.server.request(ctx); err != nil {
			return nil, err
		}
	}
	client, err := o.cloud.classicClient(ctx)
	return deploy.NewClassic(client, func() ([]byte, error) {
		key, err := o.handover.read(ctx)
		log.AddSecret(key)
		return key, err
	}, order), err
}

// checkServer looks at the flags of the server, before anything is done.
func (o *deployFlags) checkServer(ctx context.Context, target string) (err error) {
	switch {
	case !o.order:
	case target == targetVPC:
		_, err = o.place.request(ctx, &o.server)
	default:
		_, err = o.server.request(ctx)
	}
	return err
}

func (o *deployFlags) run(c *cobra.Command, src string) error {
	ctx, t := c.Context(), &o.Talk
	opts, err := o.options(c, t, src)
	if !o.template.cloudInit {
		err = errors.Join(err, errors.New("an encrypted image must have cloud-init"))
	}
	if o.cloud.settle <= 0 {
		err = errors.Join(err, errors.New("--settle must be more than zero"))
	}
	if err := errors.Join(err, o.wait.check(), o.progress.Check(), o.source.check(c), flags.AtMostOne(c, "key-file", "keep-key")); err != nil {
		return err
	}
	if err := errors.Join(opts.Check(), o.checkServer(ctx, opts.Plan.Target()), o.claim(opts.Plan)); err != nil {
		return err
	}
	unlock, err := deploy.Local{}.Lock(o.state)
	if err != nil {
		return err
	}
	defer unlock()
	d, err := deploy.Begin(ctx, opts)
	if err != nil {
		return err
	}
	log, err := o.audit.open(d.ID)
	if err != nil {
		return err
	}
	defer log.close()
	clients, err := o.clients(ctx, d, log)
	if err != nil {
		return err
	}
	r, err := d.Run(ctx, clients)
	if err != nil {
		return err
	}
	return t.Result(deployResult{Result: *r, KeyFile: o.keepKey, State: o.state, Warnings: t.Warnings}, deployText(r))
}

// claim claims the files whose names no flag gave.
func (o *deployFlags) claim(plan deploy.Plan) error {
	return errors.Join(
		o.files.Write("--state", o.state), o.files.Write("the lock of --state", o.state+".lock"), o.files.Write("the state of the upload", o.state+".upload"),
		o.files.Write("--envelope", plan.Envelope), o.files.Write("--image", plan.Image),
	)
}

// deployResult is what deploy --json prints.
type deployResult struct {
	deploy.Result
	KeyFile  string   `json:"key_file,omitempty"`
	State    string   `json:"state"` // the name of the file
	Warnings []string `json:"warnings,omitempty"`
}

func deployText(r *deploy.Result) string {
	text := talk.Line("template  %d, %s, global identifier %s", r.TemplateID, r.Name, r.GlobalIdentifier)
	if r.Target == targetVPC {
		text = talk.Line("image     %s, %s", r.ImageID, r.Name)
	}
	text += talk.Line("\nobject    %s\nenvelope  %s\nroot key  %s", r.Object, r.Envelope, r.RootKeyCRN)
	switch {
	case r.ServerID != 0:
		text += talk.Line("\nserver    %s, %d", r.Server, r.ServerID)
	case r.InstanceID != "":
		text += talk.Line("\nserver    %s, %s", r.Server, r.InstanceID)
	}
	return text
}
