package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/keys"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/image/web"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/stdio"
	"github.com/luksimg/luksimg/internal/term"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/manifest"
	"github.com/luksimg/luksimg/shard"
	"github.com/luksimg/luksimg/wrap"
)

type shardPlanFlags struct {
	encryptFlags
	shards   int
	partSize flags.Size
	fixed    bool
}

func newShardPlan(g *global) *cobra.Command {
	o := &shardPlanFlags{encryptFlags: encryptFlags{global: g}}
	c := &cobra.Command{
		Use:   "plan SRC DST JOB",
		Short: "Plan an image that many machines make",
		Long: `Plan reads the metadata of the disk image SRC, makes the header of the encrypted image DST with a new key slot,
makes room for the image, and writes JOB for shard run. JOB holds no secret: whoever runs a shard needs the
key too.

SRC is a file that all machines see under this path, cos://REGION/BUCKET/OBJECT, an https:// address, or
oci:FOLDER, a container image in a folder that all machines see. Shards cannot read
parts of a file that must be unpacked as a whole: unpack it first. SRC must not change until the job is finished.

DST is a file, which the shards make in the folder DST` + shard.FolderSuffix + `, or cos://REGION/BUCKET/OBJECT, an
upload that shard finish completes. Until shard finish or shard abort, it takes up storage but has no name.

The image has up to 10,000 parts of --part-size, 5M to 5G. --shards sets the number of shards. A shard
consists of whole parts. The format, the profile and the key are as with encrypt. With --kms or
--root-key-crn, a root key wraps the key into JOB, and into a token of a LUKS2 image. Then shard run --kms
needs no other key. --generate-key makes a new key.

With --format vhd --fixed the image is not encrypted: it is the fixed VHD that convert makes. It has no key
and no envelope.`,
		Example: `  luksimg shard plan --key-file dek.b64 --shards 16 /nfs/web.qcow2 /nfs/web.luks /nfs/web.job
  luksimg shard plan --profile classic-luks --root-key-crn "$CRN" --shards 64 cos://us-south/disks/web.raw cos://us-south/images/web.raw web.job`,
		Args: flags.Args("SRC", "DST", "JOB"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args[0], args[1], args[2]) },
	}
	f := c.Flags()
	f.StringVar(&o.profile, "profile", "", "make an image for a cloud: "+profileNames())
	f.IntVar(&o.shards, "shards", 1, "number of shards")
	f.Var(&o.partSize, "part-size", "size of the parts, 5M to 5G; k, M, G are powers of 1024 (default: by the size of the image)")
	f.Lookup("part-size").DefValue = ""
	o.source.addSecond(c)
	g.kdf.add(c)
	o.key.Add(c, "")
	o.root.add(c, &g.cloud)
	f.Lookup("kms").Usage = "`URI` of a root key that wraps the key into JOB: " + kmsNames + "; unless a flag gives the key, it is new and written nowhere else"
	f.Lookup("root-key-crn").Usage = "as --kms ibm:`CRN`"
	f.StringVar(&o.generateKey, "generate-key", "", "make a new key and write it to `FILE`, which must not exist")
	f.StringVar(&o.volumeKeyFile, "volume-key-file", "", "`FILE` with the volume key (default: a random one)")
	o.luks.add(c)
	f.BoolVar(&o.fixed, "fixed", false, "make a fixed VHD, which is not encrypted, as large as the disk, rounded up to a MiB")
	f.IntVar(&o.luks.keySlot, "key-slot", 0, "number of the new key slot")
	f.BoolVar(&o.force, "force", false, "replace DST if it exists, and abort the job in JOB")
	g.web.add(c)
	g.cloud.add(c, serviceCOS)
	return c
}

// shardPlanResult is the output of shard plan --json.
type shardPlanResult struct {
	Job          string     `json:"job"` // name of the file
	ID           string     `json:"id"`
	Source       string     `json:"source"`
	Destination  string     `json:"destination"`
	Format       string     `json:"format"`
	Profile      string     `json:"profile,omitempty"`
	Fixed        bool       `json:"fixed,omitempty"` // a fixed VHD that is not encrypted
	SourceFormat string     `json:"source_format"`
	SourceSize   int64      `json:"source_size"`
	VolumeSize   int64      `json:"volume_size"`
	FileSize     int64      `json:"file_size"`
	PartSize     int64      `json:"part_size"`
	Parts        int        `json:"parts"`
	Shards       int        `json:"shards"`
	GeneratedKey string     `json:"generated_key,omitempty"` // name of the file
	RootKey      string     `json:"root_key,omitempty"`      // the root key that wrapped the key
	LUKS         *luks.Info `json:"luks,omitempty"`
	Warnings     []string   `json:"warnings,omitempty"`
}

// checkPlan validates the flags before any file is opened.
func (o *shardPlanFlags) checkPlan(c *cobra.Command, src string) error {
	if err := errors.Join(flags.AtMostOne(c, "generate-key", "key-file", "passphrase-file", "key-fd"), o.luks.kdf.check(c), o.source.check(c)); err != nil {
		return err
	}
	if o.fixed {
		if err := o.checkFixed(c); err != nil {
			return err
		}
	}
	switch {
	case src == "-" || stdio.IsStream(src):
		return rest.WithHint(errors.New("several machines cannot read a disk from a stream"), "write SRC to a file that all machines see first, or to an object")
	case o.source.sum.given():
		return errors.New("--sha256-file and --source-sha256 need a verb that reads all of SRC: compare the checksum first")
	case o.source.allowBacking:
		return rest.WithHint(errors.New("several machines cannot read an image that needs other files: luksimg cannot tell whether those are the same"), "make one image of them first: luksimg convert --allow-backing SRC DST")
	case o.key.Encoding() != keys.Raw && o.made() == luksimg.VHD:
		return errors.New("--passphrase-encoding applies to passphrases, but the key of an encrypted VHD is raw bytes")
	case o.shards < 1 || o.shards > shard.MaxShards:
		return fmt.Errorf("--shards %d: want 1 to %d", o.shards, shard.MaxShards)
	case isCOS(o.generateKey):
		return errors.New("--generate-key must name a file, not cos://")
	}
	return nil
}

// checkFixed refuses flags for encryption, because a fixed VHD is not encrypted.
func (o *shardPlanFlags) checkFixed(c *cobra.Command) error {
	if o.made() != luksimg.VHD || o.profile != "" {
		return rest.WithHint(fmt.Errorf("--fixed does not apply to format %q", cmp.Or(o.profile, string(o.made()))), "it is for --format vhd, and for an image that is not encrypted; omit it for other formats")
	}
	encrypts := &cobra.Command{}
	other := encryptFlags{global: &global{}}
	other.key.Add(encrypts, "")
	other.luks.add(encrypts)
	names := []string{"kms", "root-key-crn", "generate-key", "volume-key-file", "key-slot"}
	encrypts.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	for _, name := range names {
		if name != "format" && c.Flags().Changed(name) {
			return rest.WithHint(fmt.Errorf("--%s does not apply with --fixed: a fixed VHD is not encrypted", name), "omit it, or omit --fixed for an encrypted VHD")
		}
	}
	return nil
}

// full returns the name by which all machines know a file.
func full(name string) (string, error) {
	if isRemote(name) {
		return shown(name), nil
	}
	return filepath.Abs(name)
}

// fullSource is full for a source, which can also be the folder of a container image.
func fullSource(name string) (string, error) {
	if !isLayout(name) {
		return full(name)
	}
	folder, err := filepath.Abs(layoutFolder(name))
	return layoutPrefix + folder, err
}

func (o *shardPlanFlags) run(c *cobra.Command, src, dst, job string) (err error) {
	ctx, t := c.Context(), &o.Talk
	if err := o.checkPlan(c, src); err != nil {
		return err
	}
	opts, err := o.options()
	if err != nil {
		return err
	}
	s, source, err := o.openShared(c, src)
	if err != nil {
		return err
	}
	defer s.close()
	disk := &diskSource{source: s, size: s.img.Size(), format: string(s.img.Format)}
	if !o.fixed {
		if err := opts.CheckSize(disk.size); err != nil {
			return err
		}
	}
	if o.profile != "" {
		if err := o.checkCloud(t, dst, disk.size); err != nil {
			return err
		}
		disk.inside(ctx, t)
	}
	if dst, err = full(dst); err != nil {
		return err
	}
	if err := o.claimFolder(dst); err != nil {
		return err
	}
	target, err := o.target(ctx, dst, o.force, o.fixed)
	if err != nil {
		return err
	}
	out, err := o.jobOutput(ctx, job, o.force)
	if err != nil {
		return err
	}
	defer out.abort()
	if object, ok := target.(objectTarget); ok {
		if err := o.checkPlace(ctx, object.client, object.at, cos.PlaceOptions{Replace: o.force}); err != nil {
			return err
		}
	}
	newKey, key, err := o.planKey(ctx, t)
	if err != nil {
		return err
	}
	defer clear(key)
	if newKey != nil {
		defer newKey.Abort()
	}
	if o.volumeKeyFile != "" {
		if opts.LUKS.VolumeKey, err = keys.ReadFile(ctx, o.volumeKeyFile); err != nil {
			return err
		}
		defer clear(opts.LUKS.VolumeKey)
	}
	plan := shard.PlanOptions{Encrypt: opts, Shards: o.shards, PartSize: o.partSize.N, Source: source, Destination: dst, Replace: o.force,
		Created: now(), Tool: toolName(),
		Manifest: func(r *luksimg.Result) *manifest.Manifest { return o.manifestOf(dst, disk, r, key) },
		Ready: func(ctx context.Context, j *shard.Job) error {
			if err := errors.Join(s.unchanged(), out.reserve(j)); err != nil {
				return err
			}
			return o.giveUpOld(ctx, job, dst, target)
		}}
	if o.fixed {
		plan.Plain = &luksimg.DecryptOptions{Format: luksimg.VHD, Fixed: true}
	}
	root, err := o.sealPlan(ctx, key, &plan)
	if err != nil {
		return err
	}
	if plan.Encrypt.LUKS.KDF, err = o.luks.kdf.measure(ctx, opts.LUKS.KDF, plan.Encrypt.Calibrate); err != nil {
		return err
	}
	j, err := shard.Plan(ctx, target, s.img, key, plan)
	if err != nil {
		return err
	}
	if err = s.unchanged(); err == nil {
		err = output.CommitAll(newKey)
	}
	if err == nil {
		err = out.commit(ctx, j)
	}
	if err != nil {
		output.RemoveAll(newKey)
		return errors.Join(err, j.Abort(context.WithoutCancel(ctx), target))
	}
	if newKey != nil {
		t.Say("key: written to %s", o.generateKey)
	}
	return o.reportPlan(job, j, disk, root)
}

// openShared opens the disk. It refuses one that cannot be read in parts.
func (o *shardPlanFlags) openShared(c *cobra.Command, src string) (*source, shard.Source, error) {
	name, err := fullSource(src)
	if err != nil {
		return nil, shard.Source{}, err
	}
	if isRedacted(name) {
		o.Say("%s: the query of the address is not written to the job, because it can be secret: give the whole address to shard run with --source", name)
	}
	o.source.unpack.random, o.source.unpack.shared = true, true
	s, err := o.source.open(c, o.global, src)
	if err != nil {
		return nil, shard.Source{}, err
	}
	stamp := s.stamp()
	if web.Is(src) && stamp.ETag == "" && stamp.Time.IsZero() {
		o.Warn("%s: without ETag and Last-Modified, shard run compares only the size, and does not notice that the file was replaced by one of the same size: keep it unchanged until shard finish, and compare it with luksimg verify", name)
	}
	return s, shard.Source{Name: name, Stamp: stamp, Read: o.source.reading(s.img.Format)}, nil
}

// giveUpOld aborts the job to replace. That job may have cost hours, so everything else is checked first.
func (o *shardPlanFlags) giveUpOld(ctx context.Context, job, dst string, next shard.Target) error {
	if !o.force {
		return nil
	}
	old, err := o.readJob(ctx, job)
	if err != nil { // no job, or a malformed one
		return nil
	}
	t, err := o.target(ctx, old.Destination, old.Replace, !old.Image.Encrypted())
	if err != nil {
		return err
	}
	if f, ok := next.(shard.File); ok && old.Destination != dst {
		if err := f.Free(); err != nil {
			return err
		}
	}
	o.Say("%s: job %s aborted", job, old.ID)
	return old.Abort(ctx, t)
}

// planKey returns the key, or nil for an unencrypted image. For a new key it also returns the unfinished key file.
func (o *shardPlanFlags) planKey(ctx context.Context, t *talk.Talk) (*output.File, []byte, error) {
	if o.fixed {
		return nil, nil, nil
	}
	if o.hidden() && o.made() == luksimg.VHD {
		key, err := wrap.NewMaterial(64, true)
		return nil, key, err
	}
	return o.readKey(ctx, t, "")
}

// sealPlan has the root key wrap the key into the job, and into a token of LUKS2. It returns nil if no root key is
// given.
func (o *shardPlanFlags) sealPlan(ctx context.Context, key []byte, p *shard.PlanOptions) (*wrap.RootKey, error) {
	if !o.root.given() {
		return nil, nil
	}
	root, err := o.root.open(ctx)
	if err != nil {
		return nil, err
	}
	so := wrap.SealOptions{Fingerprint: p.Encrypt.LUKS.GeneratedKey}
	if o.profile != "" {
		so.Convention = luksimg.Profile(o.profile).Rules().Convention
		so.Fingerprint = so.Convention.Generated()
	}
	l := &p.Encrypt.LUKS
	if o.made() != luksimg.VHD {
		if l.UUID == "" {
			l.UUID = uuid.NewString()
		}
		so.ImageUUID = l.UUID
	}
	token, err := o.seal(ctx, root, key, so, l.KeySlot)
	if err != nil {
		return nil, err
	}
	if o.made() == luksimg.LUKS2 {
		text, err := token.JSON()
		if err != nil {
			return nil, err
		}
		l.Tokens = append(l.Tokens, text)
	}
	var b bytes.Buffer
	if err := token.Envelope.Write(&b); err != nil {
		return nil, err
	}
	p.Envelope = json.RawMessage(b.Bytes())
	return root, nil
}

func (o *shardPlanFlags) reportPlan(name string, j *shard.Job, disk *diskSource, root *wrap.RootKey) error {
	r, err := j.Image.Result()
	if err != nil {
		return err
	}
	if o.fixed {
		o.WarnAll("", luksimg.DiskChange{SectorSize: 512, Longer: r.VolumeSize - r.SourceSize, Why: whyWholeMiB}.Warnings(disk.looked()))
	} else {
		disk.label(&o.Talk, r)
	}
	result := shardPlanResult{
		Job: name, ID: j.ID, Source: j.Source.Name, Destination: j.Destination, Format: string(r.Format), Profile: o.profile, Fixed: o.fixed, SourceFormat: disk.format,
		SourceSize: r.SourceSize, VolumeSize: r.VolumeSize, FileSize: r.FileSize, PartSize: j.PartSize, Parts: j.Parts(), Shards: j.Shards,
		GeneratedKey: o.generateKey, LUKS: luksInfo(r), Warnings: o.Warnings,
	}
	if empty := j.Shards - j.Parts(); empty > 0 {
		o.Warn("%s: more shards than parts: %s no part", name, term.Count(empty, "shard has", "shards have"))
		result.Warnings = o.Warnings
	}
	if root != nil {
		result.RootKey = root.String()
	}
	return o.Result(result, madeLine(j.Destination, r)+"\n"+talk.Line("%s: %s, %s of %s", name, term.Count(j.Shards, "shard", "shards"), term.Count(j.Parts(), "part", "parts"), term.Bytes(j.PartSize)))
}
