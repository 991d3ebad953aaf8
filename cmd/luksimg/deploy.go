package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/cos"

	"github.com/luksimg/luksimg/internal/rest"
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
	progress progressFlag

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
	jobs      jobsFlag
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
		Args: args("SRC"),
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
	f.StringVar(&o.changed, "changed-source", sourceRefuse, "what to do if SRC has changed since the deployment began: refuse, encrypt it anew, or keep the image that was made of it")
	f.BoolVar(&o.anyDisk, "any-disk", false, "go on with a disk that has no boot signature or no cloud-init")
	o.jobs.add(c)
	o.server.add(c)
	o.place.add(c)
	o.source.addSecond(c, "SRC")
	g.kdf.add(c)
	o.handover.add(c)
	o.wait.add(c, false)
	o.cloud.addSettle(c)
	o.cloud.add(c, serviceKMS, serviceCOS, serviceSoftLayer, serviceVPC)
	o.audit.add(c)
	o.progress.add(c)
	return c
}

// templateName is what the name of a template may be, for files are named by it.
var templateName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$`)

// plan completes the flags, and returns what must not change between runs.
func (o *deployFlags) plan(src string) (deployPlan, error) {
	if o.template.name == "" {
		o.template.name = strings.TrimSuffix(filepath.Base(src), filepath.Ext(src))
	}
	if !templateName.MatchString(o.template.name) {
		return deployPlan{}, withHint(fmt.Errorf("%q can not be the name of a template: want letters, digits, dots and hyphens", o.template.name), "give one with --name")
	}
	kind, ok := deployKinds[o.profile]
	if !ok {
		return deployPlan{}, fmt.Errorf("--profile %s: want classic-luks, classic-vhd or vpc-qcow2", o.profile)
	}
	for value, def := range map[*string]string{&o.state: ".deploy.json", &o.envelope: ".envelope.json", &o.image: ".encrypted" + path.Ext(kind.extension)} {
		if *value == "" {
			*value = o.template.name + def
		}
	}
	if strings.HasSuffix(o.object, "/") {
		o.object += o.template.name + kind.extension
	}
	object, err := cos.ParseURI(o.object)
	switch {
	case o.object == "":
		return deployPlan{}, withHint(errors.New("no --object was given"), "name the bucket: --object cos://REGION/BUCKET/")
	case err != nil:
		return deployPlan{}, withHint(fmt.Errorf("--object: %w", err), "it is cos://REGION/BUCKET/OBJECT")
	case luksimg.Profile(o.profile).CheckName(path.Base(object.Key)) != nil:
		return deployPlan{}, fmt.Errorf("--object %s: %w", object, luksimg.Profile(o.profile).CheckName(path.Base(object.Key)))
	case regionOf(o.rootKey) == "":
		return deployPlan{}, withHint(errors.New("--root-key-crn: not the CRN of a root key"), "luksimg setup prints it; it is crn:v1:bluemix:public:kms:REGION:a/ACCOUNT:INSTANCE:key:KEY")
	case o.template.osCode == "":
		return deployPlan{}, withHint(errors.New("no --os-code was given"), "luksimg import --list-os-codes lists them")
	case strings.HasPrefix(strings.ToUpper(o.template.osCode), "REDHAT") && !o.template.byol:
		return deployPlan{}, withHint(errors.New("an encrypted Red Hat image needs a license of your own"), "say --byol if you have one")
	case !o.template.cloudInit:
		return deployPlan{}, errors.New("an encrypted image must have cloud-init")
	case o.changed != sourceRefuse && o.changed != sourceKeep && o.changed != sourceEncrypt:
		return deployPlan{}, fmt.Errorf("--changed-source %s: want refuse, encrypt or keep", o.changed)
	case o.cloud.settle <= 0:
		return deployPlan{}, errors.New("--settle must be more than zero")
	}
	if !isCOS(src) {
		if src, err = filepath.Abs(src); err != nil {
			return deployPlan{}, err
		}
	}
	return deployPlan{
		Source: src, Profile: o.profile, Image: o.image, Envelope: o.envelope, Object: object.String(),
		RootKeyCRN: o.rootKey, Name: o.template.name, Note: o.template.note, OSCode: o.template.osCode, BYOL: o.template.byol,
	}, nil
}

func (o *deployFlags) run(c *cobra.Command, src string) error {
	ctx, t := c.Context(), o.talk(c)
	plan, err := o.plan(src)
	if err := errors.Join(err, o.wait.check(), o.source.check(c), atMostOne(c, "key-file", "keep-key")); err != nil {
		return err
	}
	if err := (luksimg.EncryptOptions{Profile: luksimg.Profile(o.profile)}).Check(); err != nil {
		return err
	}
	if o.order {
		if err := o.checkServer(); err != nil {
			return err
		}
	}
	if err := o.claim(); err != nil {
		return err
	}
	unlock, err := lockDeploy(o.state)
	if err != nil {
		return err
	}
	defer unlock()
	s, err := o.begin(c, t, src, plan)
	if err != nil {
		return err
	}
	log, err := o.audit.open(s.ID)
	if err != nil {
		return err
	}
	defer log.close()
	d := &deployment{deployFlags: o, deployState: s, c: c, t: t, log: log, src: src}
	if d.object, err = cos.ParseURI(plan.Object); err != nil {
		return err
	}
	if err := d.connect(); err != nil {
		return err
	}
	if err := d.steps(ctx); err != nil {
		return err
	}
	return d.report()
}

// claim claims the files whose names no flag gave.
func (o *deployFlags) claim() error {
	return errors.Join(
		o.files.write("--state", o.state), o.files.write("the lock of --state", o.state+".lock"), o.files.write("the state of the upload", o.state+".upload"),
		o.files.write("--envelope", o.envelope), o.files.write("--image", o.image),
	)
}

// checkServer looks at the flags of the server, before anything is done.
func (o *deployFlags) checkServer() (err error) {
	if deployKinds[o.profile].target == targetVPC {
		_, err = o.place.request(&o.server)
	} else {
		_, err = o.server.request()
	}
	return err
}

// begin returns the state of the run that is to be continued, or a new one.
func (o *deployFlags) begin(c *cobra.Command, t *talk, src string, plan deployPlan) (*deployState, error) {
	s, err := loadState(o.state)
	if err != nil {
		return nil, err
	}
	// The source is needed until it was encrypted. Later it may be gone.
	in, err := openInput(c.Context(), o.global, src)
	switch {
	case err == nil:
		plan.SourceSize, plan.SourceTime, plan.SourceETag = in.size, in.mtime.UTC(), in.etag
		in.close()
	case s != nil && s.done(stepEncrypt) && !s.Anew && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, cos.ErrNotFound)):
		plan.takeSource(s.Plan)
	default:
		return nil, err
	}
	if s == nil {
		s = newState(o.state, plan)
		return s, s.save()
	}
	if names := s.Plan.differs(plan); len(names) > 0 {
		return nil, withHint(fmt.Errorf("%s is of a deployment that began with another %s", o.state, strings.Join(names, ", ")),
			"give the same flags to go on with it; --name or --state begins another one")
	}
	if !s.Plan.sameSource(plan) {
		if err := o.changedSource(t, s, plan); err != nil {
			return nil, err
		}
	}
	if o.order && s.Order != nil && (s.Order.Hostname != o.server.hostname || s.Order.Domain != "" && s.Order.Domain != o.server.domain) {
		return nil, withHint(fmt.Errorf("%s is of a deployment that ordered the server %s", o.state, s.Order.Hostname),
			"give the same --hostname and --domain to go on with it; luksimg order orders more servers")
	}
	if s.done(stepWaitImport) && (!o.order || s.done(stepWaitOrder)) {
		t.say("deploy: %s has nothing left to do", o.state)
	} else {
		t.say("deploy: goes on with %s", o.state)
	}
	return s, nil
}

// What --changed-source may say.
const (
	sourceRefuse  = "refuse"
	sourceKeep    = "keep"
	sourceEncrypt = "encrypt"
)

// changedSource does what --changed-source says of a source that is not what it was when
// the deployment began.
func (o *deployFlags) changedSource(t *talk, s *deployState, plan deployPlan) error {
	encrypted, asked := s.done(stepEncrypt), s.step(stepImport) != nil
	changed := fmt.Errorf("%s has changed since the deployment of %s began", plan.Source, o.state)
	switch {
	case o.changed == sourceEncrypt && !asked:
		t.say("deploy: %v: it is encrypted as it is now", changed)
		s.Plan.takeSource(plan)
		s.Anew = true
		return s.save()
	case o.changed == sourceKeep && encrypted:
		t.warn("%v: the image is of what it was before", changed)
		return nil
	case asked:
		return withHint(changed, "there may be an image in the cloud already: --name and --object begin another deployment of what it is now; "+
			"--changed-source keep goes on with this one, whose image is of what it was before")
	}
	h := "--changed-source encrypt encrypts what it is now, with a new key"
	if encrypted {
		h += "; --changed-source keep goes on with the image of what it was before"
	}
	return withHint(changed, h)
}

// steps does what is left to do, in order.
func (d *deployment) steps(ctx context.Context) error {
	type step struct {
		name string
		do   func(ctx context.Context, before time.Time) error
	}
	if d.Anew {
		if err := d.startAnew(ctx); err != nil {
			return err
		}
	}
	all := []step{{stepCheck, d.check}, {stepKey, d.makeKey}, {stepEncrypt, d.encrypt}, {stepUpload, d.upload}}
	if d.kind().target == targetVPC {
		all = append(all, step{stepImport, d.importVPC}, step{stepWaitImport, d.waitImportVPC},
			step{stepOrder, d.placeOrderVPC}, step{stepWaitOrder, d.waitOrderVPC})
	} else {
		all = append(all, step{stepImport, d.importImage}, step{stepWaitImport, d.waitImport},
			step{stepOrder, d.placeOrder}, step{stepWaitOrder, d.waitOrder})
	}
	for _, s := range all {
		if d.done(s.name) || !d.deployFlags.order && (s.name == stepOrder || s.name == stepWaitOrder) {
			continue
		}
		before, err := d.deployState.begin(s.name)
		if err == nil {
			d.t.say("deploy: %s", s.name)
			err = s.do(ctx, before)
		}
		if err == nil {
			err = d.end(s.name)
		}
		switch {
		case err == nil:
		case ctx.Err() != nil, rest.Temporary(err) && !rest.Refused(err):
			h := "the same command goes on where this one stopped"
			if first := hint(err); first != "" {
				h = first + "; " + h
			}
			return withHint(&resumableError{fmt.Errorf("%s: %w", s.name, err)}, h)
		default:
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}
